"""Guest-physical memory as Python sees it: RAM through the frame table, every write through one gate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from guesthouse.host.memory import Mapping
from guesthouse.virtual.memory.faults import BadAddress
from guesthouse.virtual.memory.frames import FRAME, GATED, HOST, PAGE, STATE, WATCHED


class GuestMemory:
    """`size` bytes of RAM at guest-physical `base`. Addresses are guest-physical; values little-endian.

    `gate(frame_address, physical, size)` is called after a write to a page whose state asks for it. Processors may run
    meanwhile: what they have decoded before then is undone, and what they decode later they see.
    """

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.size = size
        self.mapping = Mapping(size, "the guest's memory")
        self.table = Mapping(size // PAGE * FRAME, "the frame table")
        self._frames = self.table.view.cast("Q")
        self._watched: set[int] = set()  # words of the table that have the state
        self.gate: Callable[[int, int, int], None] = lambda frame, physical, size: None

    def _spans(self, address: int, length: int) -> Iterator[tuple[int, int, int, int]]:
        """(index of the frame's first word, offset in the mapping, physical address, length) page by page."""
        offset = address - self.base
        if offset < 0 or length < 0 or offset + length > self.size:
            raise BadAddress(f"{address:#x}..{address + length:#x} is not all in RAM")
        end = offset + length
        while offset < end:
            step = min(end - offset, PAGE - offset % PAGE)
            yield offset // PAGE * (FRAME // 8), offset, self.base + offset, step
            offset += step

    def read(self, address: int, length: int) -> bytes:
        """Copy out; raises BadAddress outside RAM."""
        offset = address - self.base
        if offset >= 0 and offset % PAGE + length <= PAGE and offset + length <= self.size:
            if self._frames[offset // PAGE * (FRAME // 8) + HOST // 8]:
                raise NotImplementedError("pages outside the default mapping")
            return bytes(self.mapping.view[offset : offset + length])
        parts = []
        for index, offset, _, step in self._spans(address, length):
            if self._frames[index + HOST // 8]:
                raise NotImplementedError("pages outside the default mapping")
            parts.append(bytes(self.mapping.view[offset : offset + step]))
        return b"".join(parts)

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Copy in, through the gate; raises BadAddress outside RAM before anything changed."""
        offset, length = address - self.base, len(data)
        if offset >= 0 and offset % PAGE + length <= PAGE and offset + length <= self.size:
            index = offset // PAGE * (FRAME // 8)
            self.mapping.view[offset : offset + length] = data
            if self._frames[index + STATE // 8] & GATED:
                self.gate(self.table.address + index * 8, address, length)
            return
        if self._plain(address, len(data)):
            self.mapping.view[address - self.base : address - self.base + len(data)] = data
            return
        done = 0
        for index, offset, physical, step in list(self._spans(address, len(data))):
            self.mapping.view[offset : offset + step] = data[done : done + step]
            if self._frames[index + STATE // 8] & GATED:
                self.gate(self.table.address + index * 8, physical, step)
            done += step

    def view(self, address: int, length: int) -> memoryview:
        """RAM itself; raises BadAddress outside RAM. Whoever has written into it calls `wrote`."""
        offset = address - self.base
        if offset < 0 or length < 0 or offset + length > self.size:
            raise BadAddress(f"{address:#x}..{address + length:#x} is not all in RAM")
        return self.mapping.view[offset : offset + length]

    def wrote(self, address: int, length: int) -> None:
        """Let what was written through a view pass the gate."""
        offset = address - self.base
        if offset % PAGE + length <= PAGE:
            index = offset // PAGE * (FRAME // 8)
            if self._frames[index + STATE // 8] & GATED:
                self.gate(self.table.address + index * 8, address, length)
            return
        if self._plain(address, length):
            return
        for index, _, physical, step in self._spans(address, length):
            if self._frames[index + STATE // 8] & GATED:
                self.gate(self.table.address + index * 8, physical, step)

    def _plain(self, address: int, length: int) -> bool:
        """Whether a range of several pages is RAM where it always was, of which nobody wants to know."""
        if length <= PAGE or not self.contains(address, length):
            return False
        first, last = (address - self.base) // PAGE, (address - self.base + length - 1) // PAGE
        entries = self.table.view[first * FRAME : (last + 1) * FRAME]
        return bytes(entries) == bytes(len(entries))

    def discard(self, address: int, length: int) -> None:
        """Give whole pages back to the host; they read as zeros. Raises BadAddress outside RAM."""
        if not self.contains(address, length):
            raise BadAddress(f"{address:#x}..{address + length:#x} is not all in RAM")
        self.mapping.discard(address - self.base, length)
        self.wrote(address, length)

    def load(self, address: int, size: int) -> int:
        """One little-endian word; raises BadAddress outside RAM."""
        return int.from_bytes(self.read(address, size), "little")

    def store(self, address: int, size: int, value: int) -> None:
        """Write one little-endian word; raises BadAddress outside RAM."""
        self.write(address, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def watch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Have accesses to these ranges (first address, the one behind) seen, and no others.

        What is not RAM is left out. Whoever remembers translations must forget them.
        """
        for index in self._watched:
            self._frames[index] &= ~WATCHED
        self._watched = set()
        for first, end in ranges:
            low, high = max(first - self.base, 0), min(end - self.base, self.size)
            self._watched |= {page * (FRAME // 8) + STATE // 8 for page in range(low // PAGE, -(-high // PAGE))}
        for index in self._watched:
            self._frames[index] |= WATCHED

    def contains(self, address: int, length: int = 1) -> bool:
        """Whether all of it is RAM."""
        return self.base <= address and address + length <= self.base + self.size

    def close(self) -> None:
        """Give the memory back to the host."""
        self._frames.release()
        self.mapping.close()
        self.table.close()
