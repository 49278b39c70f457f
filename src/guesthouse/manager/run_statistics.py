"""What a run came to, for `--stats`: the machine's own figures, and those that need the host's clock."""

from typing import Any

from guesthouse.virtual.machine.machine import Machine


def run_statistics(machine: Machine, seconds: float) -> dict[str, Any]:
    """Names and values; `seconds` is the CPU time of the thread that ran the guest.

    mips: millions of steps a second of that time. translation_seconds is CPU time that the compile service gave this
    guest.
    """
    own = machine.statistics()
    return {
        **own,
        "cpu_seconds": seconds,
        "mips": own["steps"] / max(seconds, 1e-9) / 1e6,
        **_translations(machine),
        **own,
    }


def _translations(machine: Machine) -> dict[str, Any]:
    translations = getattr(machine._core.engine, "translations", None)
    if translations is None:
        return {}
    counts = translations.counts
    return {
        "translations": counts.translated,
        "translated_instructions": counts.instructions,
        "translation_seconds": counts.seconds,
        "translation_us_per_instruction": 1e6 * counts.seconds / max(counts.instructions, 1),
        "cache_hits": counts.from_cache,
        "installed": counts.installed,
        "refused": counts.refused,
    }
