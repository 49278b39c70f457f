"""Host memory as the host sees it."""

from pathlib import Path

import pytest

from guesthouse.host.memory import Mapping

HUGE = "hg"


def flags_at(address: int) -> list[str]:
    """The flags of this process's mapping at an address (proc(5), `VmFlags`)."""
    inside, found = False, ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and first == "VmFlags:":
            found = line
    return found.split()[1:]


@pytest.mark.parametrize("huge", [False, True])
def test_large_pages_are_asked_for_where_they_are_wanted(huge: bool) -> None:
    if not Path("/sys/kernel/mm/transparent_hugepage").exists():
        pytest.skip("this host has no large pages")
    mapping = Mapping(8 << 20, "the test", huge)
    assert (HUGE in flags_at(mapping.address)) == huge
    mapping.view[5 << 20] = 1
    mapping.discard(4 << 20, 2 << 20)
    assert mapping.view[5 << 20] == 0
    mapping.close()
