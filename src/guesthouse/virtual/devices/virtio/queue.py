"""Virtqueues as devices use them: take a chain of buffers, fill it, give it back (section 2.6)."""

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from guesthouse.virtual.devices.state import State, Stateful
from guesthouse.virtual.devices.wires import Memory

DESCRIPTOR = struct.Struct("<QIHH")
NEXT, WRITE, INDIRECT = 1, 2, 4
MAX_INDIRECT = 1024
"""Descriptors allowed in one chain through an indirect table, which the specification lets exceed the queue's size."""
CHUNK = 1 << 20
"""Bytes copied at once between guest memory and a backend."""


class RingError(Exception):
    """The driver has broken the rules of a ring; the device asks to be reset."""


class Chain(msgspec.Struct):
    """One request: guest memory to read, then guest memory to write, both as (address, length)."""

    id: int
    slots: int = 1
    epoch: int = 0
    """Of the queue when the chain was taken."""
    readable: list[tuple[int, int]] = msgspec.field(default_factory=list)
    writable: list[tuple[int, int]] = msgspec.field(default_factory=list)

    def add(self, address: int, length: int, flags: int) -> None:
        """Append one buffer, as one with that before it where they adjoin; `RingError` for a readable one too late."""
        if not flags & WRITE and self.writable:
            raise RingError("a readable buffer follows a writable one")
        buffers = self.writable if flags & WRITE else self.readable
        if buffers and sum(buffers[-1]) == address:
            buffers[-1] = (buffers[-1][0], buffers[-1][1] + length)
        else:
            buffers.append((address, length))

    @property
    def to_read(self) -> int:
        """Bytes the driver gives."""
        return sum(length for _, length in self.readable)

    @property
    def to_write(self) -> int:
        """Bytes the driver has room for."""
        return sum(length for _, length in self.writable)

    def read(self, memory: Memory, start: int, length: int) -> bytes:
        """Copy up to `length` bytes from byte `start` of what the driver gives."""
        return b"".join(memory.read(address, count) for address, count in _window(self.readable, start, length))

    def write(self, memory: Memory, start: int, data: bytes | memoryview) -> None:
        """Copy `data` to byte `start` of the driver's room; what does not fit is dropped."""
        position = 0
        for address, count in _window(self.writable, start, len(data)):
            memory.write(address, data[position : position + count])
            position += count

    def views(self, memory: Memory, start: int, length: int) -> list[memoryview]:
        """RAM behind `length` bytes from byte `start` of what the driver gives."""
        return [memory.view(address, count) for address, count in _window(self.readable, start, length)]

    def room_views(self, memory: Memory, start: int, length: int) -> list[memoryview]:
        """RAM behind `length` bytes from byte `start` of the driver's room; `wrote` follows."""
        return [memory.view(address, count) for address, count in _window(self.writable, start, length)]

    def wrote(self, memory: Memory, start: int, length: int) -> None:
        """Tell that bytes of the driver's room have been written through views."""
        for address, count in _window(self.writable, start, length):
            memory.wrote(address, count)


def _window(segments: list[tuple[int, int]], start: int, length: int) -> Iterator[tuple[int, int]]:
    for address, count in segments:
        if start >= count:
            start -= count
            continue
        take = min(count - start, length)
        if take <= 0:
            return
        yield address + start, take
        length -= take
        start = 0


def read_indirect(memory: Memory, address: int, length: int, chain: Chain, follow_next: bool) -> None:
    """Add the buffers of an indirect table (section 2.7.5.3; packed rings ignore NEXT in it, 2.8.7)."""
    count = length // DESCRIPTOR.size
    if length % DESCRIPTOR.size or not 0 < count <= MAX_INDIRECT:
        raise RingError("an indirect table of a wrong size")
    table = list(DESCRIPTOR.iter_unpack(memory.read(address, length)))
    index = 0
    for _ in range(count):
        buffer, size, third, fourth = table[index]
        flags = third if follow_next else fourth
        if flags & INDIRECT:
            raise RingError("an indirect table inside another")
        chain.add(buffer, size, flags)
        if follow_next:
            if not flags & NEXT:
                return
            index = fourth
        else:
            index += 1
        if index >= count and follow_next:
            raise RingError("an indirect table points outside itself")
    if follow_next:
        raise RingError("an indirect table with a loop")


class Layout(Protocol):
    """One of the two ring layouts; without state of its own."""

    def valid_size(self, size: int) -> bool:
        """Tell whether a ring may have this many slots."""

    def aligned(self, queue: "Queue") -> bool:
        """Tell whether the ring's three areas are aligned as they must."""

    def pop(self, queue: "Queue", memory: Memory) -> Chain | None:
        """Take the next available chain; raises `RingError` or `BadAddress`."""

    def push(self, queue: "Queue", memory: Memory, chain: Chain, written: int) -> None:
        """Give a chain back with the number of bytes written into it."""

    def rearm(self, queue: "Queue", memory: Memory) -> bool:
        """Ask to be notified of the next chain; false where one has come in already."""

    def wants_interrupt(self, queue: "Queue", memory: Memory) -> bool:
        """Tell whether the driver asked to hear of the chains given back since it was last told."""


class Queue(Stateful):
    """The state of one virtqueue; positions are those of the split ring (free-running) or the packed one (slots)."""

    size: int
    ready: bool
    descriptors: int
    driver: int
    device: int
    available: int
    available_wrap: bool
    used: int
    used_wrap: bool
    unsignalled: int
    events: bool
    indirect: bool

    state = (
        State("size", 0, "slots, as the driver set them; zero until then"),
        State("ready", False, "the driver has handed the ring over"),
        State("descriptors", 0, "address of the descriptor area"),
        State("driver", 0, "address of the driver area"),
        State("device", 0, "address of the device area"),
        State("available", 0, "next position to take from"),
        State("available_wrap", True, "packed: wrap counter of `available`"),
        State("used", 0, "next position to give back at"),
        State("used_wrap", True, "packed: wrap counter of `used`"),
        State("unsignalled", 0, "positions given back since the driver was last told"),
        State("events", False, "EVENT_IDX was negotiated"),
        State("indirect", False, "INDIRECT_DESC was negotiated"),
    )

    epoch: int = 0
    """Changes where the driver has taken the ring back: what it had asked for before is over."""

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.start()

    def resume(self) -> None:
        """Forget what was being done before a reset or another state."""
        self.epoch += 1


Handler = Callable[[Chain], int]
"""Does one request and returns the bytes written into it."""
