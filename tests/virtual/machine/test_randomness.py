from guesthouse.virtual.machine.randomness import SeededEntropy


def test_pieces_do_not_matter() -> None:
    whole = SeededEntropy(7).bytes(1000)
    pieces = SeededEntropy(7)
    assert b"".join(pieces.bytes(n) for n in (0, 1, 63, 64, 65, 128, 679)) == whole
    assert pieces.position == 1000


def test_seeds_differ_and_a_place_can_be_taken_up_again() -> None:
    assert SeededEntropy(7).bytes(32) != SeededEntropy(8).bytes(32)
    assert len(set(SeededEntropy(1).bytes(1000))) > 200
    first = SeededEntropy(7)
    first.bytes(100)
    assert SeededEntropy(7, first.position).bytes(50) == SeededEntropy(7).bytes(150)[100:]
