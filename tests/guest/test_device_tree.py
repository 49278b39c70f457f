import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.errors import UserError
from guesthouse.guest.device_tree import Node, cells64, encode, flatten, parse

NAMES = st.text("abcdefghijklmnop,._+-0123456789", min_size=1, max_size=31)
TREES = st.recursive(
    st.builds(Node, NAMES, st.dictionaries(NAMES, st.binary(max_size=40), max_size=4), st.just(())),
    lambda children: st.builds(
        Node, NAMES, st.dictionaries(NAMES, st.binary(max_size=9)), st.lists(children, unique_by=lambda node: node.name)
    ),
    max_leaves=8,
)


def as_plain(node: Node) -> tuple[object, ...]:
    return (node.name, dict(node.properties), [as_plain(child) for child in node.children])


def test_values_are_encoded_as_the_specification_says() -> None:
    assert encode(None) == b""
    assert encode(0x12345678) == b"\x12\x34\x56\x78"
    assert encode([1, 2]) == b"\0\0\0\1\0\0\0\2"
    assert encode("ok") == b"ok\0"
    assert encode(["a", "bc"]) == b"a\0bc\0"
    assert cells64(0x1_0000_0002) == [1, 2]


def test_layout_of_a_small_tree() -> None:
    blob = flatten(Node("", {"model": "x"}), [(0x1000, 0x20)], boot_cpu=3)
    header = struct.unpack_from(">10I", blob)
    assert header == (0xD00DFEED, len(blob), 72, 72 + 32, 40, 17, 16, 3, 6, 32)
    assert blob[40:72] == struct.pack(">QQQQ", 0x1000, 0x20, 0, 0)
    assert blob[72:104] == struct.pack(">II III 2s2x II", 1, 0, 3, 2, 0, b"x\0", 2, 9)
    assert blob[104:110] == b"model\0"


@given(st.dictionaries(NAMES, st.binary(max_size=20)), st.lists(TREES, unique_by=lambda node: node.name, max_size=4))
def test_what_is_written_is_read_back(properties: dict[str, bytes], children: list[Node]) -> None:
    root = Node("", properties, children)
    tree = parse(flatten(root, [(1 << 40, 4096)], 1))
    assert as_plain(tree.root) == as_plain(root)
    assert tree.reservations == ((1 << 40, 4096),)
    assert tree.boot_cpu == 1


@pytest.mark.parametrize(
    "root",
    [
        Node("named"),
        Node("", {"bad name": 1}),
        Node("", {"x": 1 << 32}),
        Node("", {}, [Node("a b")]),
        Node("", {}, [Node("a"), Node("a")]),
    ],
)
def test_what_is_not_allowed_is_refused(root: Node) -> None:
    with pytest.raises(UserError):
        flatten(root)


@given(st.binary(max_size=200))
def test_random_bytes_only_raise_a_user_error(data: bytes) -> None:
    with pytest.raises(UserError):
        parse(data)


@given(st.data())
def test_damaged_trees_give_a_tree_or_a_user_error(data: st.DataObject) -> None:
    blob = bytearray(flatten(Node("", {"a": 1}, [Node("b@1", {"c": "text"}, [Node("d")])])))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    del blob[data.draw(st.integers(0, len(blob))) :]
    try:
        assert parse(bytes(blob)).root.name == ""
    except UserError as error:
        assert "device tree" in str(error)


def test_deep_nesting_is_refused_not_recursed() -> None:
    structure = struct.pack(">II", 1, 0) + struct.pack(">I4s", 1, b"a\0") * 5000
    blob = struct.pack(">10I", 0xD00DFEED, 56 + len(structure), 56, 56, 40, 17, 16, 0, 0, len(structure)) + bytes(16)
    with pytest.raises(UserError, match="deep"):
        parse(blob + structure)
