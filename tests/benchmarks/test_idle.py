"""Resident memory is split into the guest's and what the monitor needs beyond it."""

from pathlib import Path

from benchmarks.idle import Idle, as_data, idle_table, resident_memory, verdicts
from benchmarks.sides import MEMORY_MIB

SMAPS = """\
5565c0146000-5565c2088000 rw-p 00000000 00:00 0 [heap]
Size:              32008 kB
Rss:               15000 kB
{start:x}-{end:x} rw-p 00000000 00:00 0
Rss:              100000 kB
"""


def test_the_large_mapping_is_the_guests_but_for_its_surplus(tmp_path: Path) -> None:
    start, surplus = 0x7F0000000000, 4096 * 1024
    (tmp_path / "smaps").write_text(SMAPS.format(start=start, end=start + MEMORY_MIB * 2**20 + surplus))
    assert resident_memory(tmp_path) == (115000, 100000 - 4096)


def test_a_process_without_such_a_mapping_holds_no_guest(tmp_path: Path) -> None:
    (tmp_path / "smaps").write_text(SMAPS.format(start=0, end=2**20))
    assert resident_memory(tmp_path) == (115000, 0)


def test_table_and_data() -> None:
    found = {"qemu": Idle(0.3, monitor=200 * 1024, guest=80 * 1024), "warm": Idle(error="no prompt in time")}
    lines = idle_table(found).splitlines()
    assert lines[2] == "| QEMU | 0.30 | 200 | 80 | 120 | 0 | 0 |"
    assert "failed" in lines[3]
    assert list(verdicts(found)) == []
    found["warm"] = Idle(2.5, monitor=200 * 1024, guest=90 * 1024)
    said = list(verdicts(found))
    assert said[0] == "idle, ours: 2.50 % of a core; goal less than 1, not reached"
    assert said[1] == "idle, ours: 110 MiB beyond the guest's memory; goal at most QEMU's 120, reached"
    assert as_data(found)["qemu"]["beyond"] == 120 * 1024
