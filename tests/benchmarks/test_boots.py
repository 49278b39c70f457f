"""The CPU time of a boot is split into phases that add up to it."""

import pytest

from benchmarks.boots import median_of, phase_lines, phases_of


def test_the_statistics_phases_are_taken_as_they_are() -> None:
    stats = {"phase_seconds_load": 0.25, "phase_seconds_waiting_for_exits": 0.5, "cpu_seconds": 2.0}
    phases = phases_of(stats, total=3.0, start=0.25)
    assert phases == {"Python start": 0.25, "load": 0.25, "waiting for exits": 0.5, "the rest": 2.0}


def test_without_them_the_guests_thread_and_translating_are_told() -> None:
    phases = phases_of({"cpu_seconds": 2.0, "translation_seconds": 0.5}, total=3.0, start=0.25)
    assert phases["guest's thread"] == 2.0
    assert phases["translating"] == 0.5
    assert sum(phases.values()) == pytest.approx(3.0)


def test_qemu_tells_nothing() -> None:
    assert phases_of({}, total=3.0, start=0.25) == {"all": 3.0}


def test_medians_by_phase() -> None:
    assert median_of([{"load": 1.0}, {"load": 3.0}, {"load": 2.0, "other": 9.0}]) == {"load": 2.0, "other": 0.0}
    assert "ours, first time: load 2.00 s" in phase_lines({"cold": {"load": 2.0}})
