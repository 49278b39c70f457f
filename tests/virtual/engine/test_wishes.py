"""What is asked for at the end of a run."""

from typing import Any

from guesthouse.virtual.engine.wishes import MOST_OF_PAGE, MOST_WISHES, Wishes

PAGE = b"code"


class Source:
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, int, int]] = []

    def request_region(self, page: bytes, entry: int, jumps_to: list[int], heat: int = 0, later: bool = False) -> bool:
        assert later
        assert jumps_to == [entry]
        self.asked.append((page, entry, heat))
        return True


def handed_in(wishes: Wishes, seen: Any = lambda code_page: PAGE) -> list[tuple[bytes, int, int]]:
    source = Source()
    wishes.hand_in(source, lambda code_page, page: [code_page & 0xF], seen)  # type: ignore[arg-type]
    return source.asked


def test_the_hottest_come_first_and_few_of_a_page() -> None:
    wishes = Wishes()
    assert wishes.report("cool", 0x11, 1, PAGE) == 1
    for count in (1, 2, 3):
        assert wishes.report("hot", 0x12, 2, PAGE) == count
    wishes.report("warm", 0x23, 3, PAGE)
    wishes.report("warm", 0x23, 3, PAGE)
    assert handed_in(wishes) == [(PAGE, 2, 3), (PAGE, 3, 2), (PAGE, 1, 1)]


def test_of_a_page_only_the_hottest_are_asked_for() -> None:
    wishes = Wishes()
    for number in range(MOST_OF_PAGE + 2):
        for _ in range(number + 1):
            wishes.report(str(number), 0x11, 1, PAGE)
    assert [heat for _, _, heat in handed_in(wishes)] == list(range(MOST_OF_PAGE + 2, 2, -1))


def test_what_is_being_made_or_was_rewritten_is_no_wish() -> None:
    wishes = Wishes()
    wishes.report("made", 0x11, 1, PAGE)
    wishes.granted("made")
    wishes.report("rewritten", 0x12, 2, PAGE)
    assert handed_in(wishes, lambda code_page: b"other") == []


def test_wishes_are_few() -> None:
    wishes = Wishes()
    for number in range(MOST_WISHES + 5):
        wishes.report(str(number), number << 4 | 1, 1, PAGE)
    assert len(handed_in(wishes)) == MOST_WISHES
