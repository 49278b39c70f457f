from guesthouse.host.memory import Mapping
from guesthouse.host.residency import Residency

PAGE = 4096


def test_touched_pages_are_told_and_others_left_alone() -> None:
    mapping, residency = Mapping(1 << 30, "the test"), Residency()
    offsets = (5 * PAGE, 6 * PAGE + 17, (1 << 29) + 3, (1 << 30) - 1)
    for offset in offsets:
        mapping.view[offset] = 1
    ranges = list(residency.touched(mapping.address, mapping.size))
    assert all(start % PAGE == length % PAGE == 0 for start, length in ranges)
    assert ranges == sorted(ranges)
    assert all(any(start <= offset < start + length for start, length in ranges) for offset in offsets)
    assert sum(length for _, length in ranges) < 1 << 26  # some hosts give huge pages
    residency.close()
    mapping.close()


def test_a_host_that_does_not_tell_gives_everything() -> None:
    mapping, residency = Mapping(1 << 20, "the test"), Residency()
    residency.close()
    assert list(residency.touched(mapping.address, mapping.size)) == [(0, 1 << 20)]
    mapping.close()
