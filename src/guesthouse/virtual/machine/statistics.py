"""What has happened in a machine so far, as names and numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.runner import Runner
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.state import ProcessorState

COUNTERS = ("misses", "fetch_misses", "dropped", "code_resets", "naps", "stitched_blocks", "stitched_instructions")


def statistics(engine: str, core: Core, runner: Runner) -> dict[str, Any]:
    """Steps, traps, exits by reason and the engine's counters; with several processors in sum, and each one's own."""
    states = [cpu.state for cpu in core.cpus]
    found = {"engine": engine, **_counted(engine, states, runner.exits)}
    if core.balloon is not None:
        found["balloon"] = core.balloon.told()
    if len(states) > 1:
        found["cpus"] = {
            str(number): {
                **_counted(engine, [processor.cpu.state], processor.exits),
                "seconds": runner.thread_seconds[number],
            }
            for number, processor in enumerate(runner.processors)
        }
    return found


def _counted(engine: str, states: list[ProcessorState], exits: Counter[Exit]) -> dict[str, Any]:
    by_engine = {"stitcher": _sum(states, "stitched_steps"), "translator": _sum(states, "translated_steps")}
    first = "reference" if engine == "reference" else "interpreter"
    causes: Counter[int] = Counter()
    for state in states:
        causes.update({cause: count for cause, count in enumerate(state.trap_counts) if count})
    steps = _sum(states, "instructions")
    return {
        "steps": steps,
        "steps_by_engine": {first: steps - sum(by_engine.values()), **by_engine},
        "traps": _sum(states, "trapped"),
        "traps_by_cause": {
            f"interrupt {cause - 32}" if cause >= 32 else f"exception {cause}": n for cause, n in sorted(causes.items())
        },
        "exits": {reason.name: count for reason, count in exits.items()},
        **{name: _sum(states, name) for name in COUNTERS if name in states[0].layout.slot},
    }


def _sum(states: list[ProcessorState], name: str) -> int:
    return sum(int(getattr(state, name)) for state in states)
