"""Flattened device trees: written from a tree of nodes, and read back strictly.

Source: Devicetree Specification v0.4, chapter 5 "Flattened Devicetree (DTB) Format"; all numbers are big-endian.
"""

import re
import struct
from collections.abc import Mapping, Sequence

import msgspec

from guesthouse.errors import UserError

MAGIC = 0xD00DFEED
VERSION, LAST_COMPATIBLE = 17, 16
BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9
DEPTH_LIMIT = 64

Value = bytes | str | int | Sequence[int] | Sequence[str] | None
"""A property: bytes as they are, text, one cell, cells of 32 bits, a list of texts, or None for an empty property."""

_HEADER = struct.Struct(">10I")
_RESERVATION = struct.Struct(">QQ")
_NODE_NAME = re.compile(r"[0-9a-zA-Z,._+-]{1,31}(@[0-9a-zA-Z,._+-]+)?\Z")
_PROPERTY_NAME = re.compile(r"[0-9a-zA-Z,._+?#-]{1,31}\Z")


class Node(msgspec.Struct):
    """A node: its name with unit address (the root's is ""), its properties and children in order."""

    name: str
    properties: Mapping[str, Value] = msgspec.field(default_factory=dict)
    children: Sequence["Node"] = ()


def cells64(*numbers: int) -> list[int]:
    """Each 64-bit number as two cells, high half first: for `reg` and `ranges` where the cell counts are 2."""
    return [half for number in numbers for half in (number >> 32, number & 0xFFFF_FFFF)]


def encode(value: Value) -> bytes:
    """The bytes of a property (section 2.2.4). Raises UserError where a cell does not fit in 32 bits."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode() + b"\0"
    parts: list[int | str] = [value] if isinstance(value, int) else list(value)
    return b"".join(part.encode() + b"\0" if isinstance(part, str) else _cell(part) for part in parts)


def _cell(number: int) -> bytes:
    if not 0 <= number < 1 << 32:
        raise UserError(f"The device tree cell {number:#x} does not fit in 32 bits; split it with cells64().")
    return number.to_bytes(4, "big")


def flatten(root: Node, reservations: Sequence[tuple[int, int]] = (), boot_cpu: int = 0) -> bytes:
    """The blob of a tree: header, reserved memory as (address, size), structure block, strings block.

    `boot_cpu` is the physical id of the processor that boots. Raises UserError for names the specification forbids and
    for values that do not fit.
    """
    structure = bytearray()
    strings: dict[str, int] = {}
    _write_node(root, structure, strings, 0)
    structure += END.to_bytes(4, "big")
    reserved = b"".join(_RESERVATION.pack(*pair) for pair in (*reservations, (0, 0)))
    texts = b"".join(name.encode() + b"\0" for name in strings)
    structure_at = _HEADER.size + len(reserved)
    strings_at = structure_at + len(structure)
    total = strings_at + len(texts)
    total += -total % 4
    offsets = (structure_at, strings_at, _HEADER.size)
    header = _HEADER.pack(MAGIC, total, *offsets, VERSION, LAST_COMPATIBLE, boot_cpu, len(texts), len(structure))
    return (header + reserved + structure + texts).ljust(total, b"\0")


def _write_node(node: Node, structure: bytearray, strings: dict[str, int], depth: int) -> None:
    if depth > DEPTH_LIMIT or (depth and not _NODE_NAME.match(node.name)) or (not depth and node.name):
        raise UserError(f"The device tree node {node.name!r} is nested too deep or has a name that is not allowed.")
    names = [child.name for child in node.children]
    if len(set(names)) != len(names):
        raise UserError(f"The device tree node {node.name!r} has two children of one name.")
    structure += BEGIN_NODE.to_bytes(4, "big") + _padded(node.name.encode() + b"\0")
    for name, value in node.properties.items():
        if not _PROPERTY_NAME.match(name):
            raise UserError(f"The device tree property {name!r} has a name that is not allowed.")
        data = encode(value)
        offset = strings.setdefault(name, sum(len(known) + 1 for known in strings))
        structure += struct.pack(">III", PROPERTY, len(data), offset) + _padded(data)
    for child in node.children:
        _write_node(child, structure, strings, depth + 1)
    structure += END_NODE.to_bytes(4, "big")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class DeviceTree(msgspec.Struct, frozen=True):
    """What a blob holds; every property as bytes."""

    root: Node
    reservations: tuple[tuple[int, int], ...]
    boot_cpu: int


def parse(blob: bytes) -> DeviceTree:
    """Read a blob strictly: every offset checked, depth and work bounded by its size.

    Raises UserError for anything that the specification forbids.
    """
    if len(blob) < _HEADER.size:
        raise _damaged("it is too short")
    header = _HEADER.unpack_from(blob)
    magic, total, structure_at, strings_at, reserved_at, _, compatible, boot_cpu, strings_size, structure_size = header
    if magic != MAGIC or compatible > VERSION or not _HEADER.size <= total <= len(blob):
        raise _damaged("its header is wrong")
    if structure_at % 4 or structure_at + structure_size > total or strings_at + strings_size > total:
        raise _damaged("a block lies outside of it")
    reservations = _read_reservations(blob[:total], reserved_at)
    reader = _Reader(blob[structure_at : structure_at + structure_size], blob[strings_at : strings_at + strings_size])
    return DeviceTree(reader.read(), reservations, boot_cpu)


def _damaged(why: str) -> UserError:
    return UserError(f"The device tree is damaged ({why}); make it again.")


def _read_reservations(blob: bytes, offset: int) -> tuple[tuple[int, int], ...]:
    result: list[tuple[int, int]] = []
    while offset % 8 == 0 and offset + _RESERVATION.size <= len(blob):
        pair = _RESERVATION.unpack_from(blob, offset)
        if pair == (0, 0):
            return tuple(result)
        result.append((pair[0], pair[1]))
        offset += _RESERVATION.size
    raise _damaged("its memory reservations do not end")


class _Reader:
    """Reads the structure block token by token."""

    def __init__(self, structure: bytes, strings: bytes) -> None:
        self._structure = structure
        self._strings = strings
        self._position = 0

    def read(self) -> Node:
        if self._token() != BEGIN_NODE:
            raise _damaged("it has no root")
        root = self._node(0)
        if root.name or self._token() != END:
            raise _damaged("its root has a name or it does not end after its root")
        return root

    def _number(self) -> int:
        if self._position + 4 > len(self._structure):
            raise _damaged("it ends too early")
        self._position += 4
        return int.from_bytes(self._structure[self._position - 4 : self._position], "big")

    def _token(self) -> int:
        token = self._number()
        while token == NOP:
            token = self._number()
        return token

    def _take(self, size: int) -> bytes:
        data = self._structure[self._position : self._position + size]
        if len(data) != size:
            raise _damaged("a value lies outside of it")
        self._position += size + -size % 4
        return data

    def _node(self, depth: int) -> Node:
        """The node after its BEGIN_NODE token, up to and with its END_NODE."""
        end = self._structure.find(b"\0", self._position)
        if end < 0 or depth > DEPTH_LIMIT:
            raise _damaged("a name does not end or nodes are nested too deep")
        name = self._take(end - self._position + 1)[:-1].decode("ascii", "replace")
        if depth and not _NODE_NAME.match(name):
            raise _damaged(f"a node has the name {name!r}")
        properties: dict[str, Value] = {}
        children: list[Node] = []
        while (token := self._token()) != END_NODE:
            if token == PROPERTY and not children:
                size, offset = self._number(), self._number()
                properties[self._property_name(offset)] = self._take(size)
            elif token == BEGIN_NODE:
                children.append(self._node(depth + 1))
            else:
                raise _damaged(f"the token {token} is not allowed where it stands")
        return Node(name, properties, children)

    def _property_name(self, offset: int) -> str:
        end = self._strings.find(b"\0", offset)
        name = self._strings[offset:end].decode("ascii", "replace") if end >= 0 else ""
        if not _PROPERTY_NAME.match(name):
            raise _damaged(f"a property has the name {name!r}")
        return name
