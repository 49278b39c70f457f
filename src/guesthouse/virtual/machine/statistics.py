"""What has happened in a machine so far, as names and numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.runner import Runner
from guesthouse.virtual.spec.state import ProcessorState

COUNTERS = ("misses", "fetch_misses", "dropped", "code_resets", "stitched_blocks", "stitched_instructions")


def statistics(engine: str, core: Core, runner: Runner) -> dict[str, Any]:
    """Steps, traps, exits by reason and the engine's counters; with several processors also each one's steps."""
    states = [cpu.state for cpu in core.cpus]
    by_engine = {"stitcher": _sum(states, "stitched_steps"), "translator": _sum(states, "translated_steps")}
    first = "reference" if engine == "reference" else "interpreter"
    causes: Counter[int] = Counter()
    for state in states:
        causes.update({cause: count for cause, count in enumerate(state.trap_counts) if count})
    per_cpu = {"steps_by_cpu": [int(state.instructions) for state in states]} if len(states) > 1 else {}
    return {
        "engine": engine,
        "steps": core.steps,
        "steps_by_engine": {first: core.steps - sum(by_engine.values()), **by_engine},
        **per_cpu,
        "traps": _sum(states, "trapped"),
        "traps_by_cause": {
            f"interrupt {cause - 32}" if cause >= 32 else f"exception {cause}": n for cause, n in sorted(causes.items())
        },
        "exits": {reason.name: count for reason, count in runner.exits.items()},
        **{name: _sum(states, name) for name in COUNTERS if name in states[0].layout.slot},
    }


def _sum(states: list[ProcessorState], name: str) -> int:
    return sum(int(getattr(state, name)) for state in states)
