"""A tiny virtio driver: what a guest does, for both ring layouts."""

import struct
from collections.abc import Sequence

from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.mmio import VirtioMmio
from guesthouse.virtual.devices.virtio.transport import EVENT_IDX, INDIRECT_DESC, RING_PACKED, VERSION_1
from tests.virtual.devices.fakes import BASE, Line, Ram

SIZE = 8
NEXT, WRITE, INDIRECT = 1, 2, 4


class Driver:
    """Drives one virtio-mmio device; requests are lists of bytes to send and of room in bytes to receive."""

    def __init__(
        self, function: Function, packed: bool = False, indirect: bool = False, events: bool = False, features: int = 0
    ) -> None:
        self.ram, self.irq = Ram(1 << 18), Line()
        self.queues = len(function.queue_sizes)
        self.connect(function)
        self.packed, self.indirect, self.events = packed, indirect, events
        self.features = features | 1 << VERSION_1
        self.features |= packed << RING_PACKED | indirect << INDIRECT_DESC | events << EVENT_IDX
        self.free = BASE + 0x10000
        self.next = [0] * self.queues
        self.wrap = [True] * self.queues
        self.seen = [0] * self.queues
        self.seen_wrap = [True] * self.queues
        self.rooms: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.start()

    def connect(self, function: Function) -> None:
        self.device = VirtioMmio(function, self.irq, self.ram)

    def start(self) -> None:
        device = self.device
        assert (device.read(0, 4), device.read(4, 4)) == (0x74726976, 2)
        for status in (0, 1, 3):
            device.write(0x70, 4, status)
        for half in range(2):
            device.write(0x24, 4, half)
            device.write(0x20, 4, self.features >> 32 * half & 0xFFFF_FFFF)
        device.write(0x70, 4, 11)
        assert device.read(0x70, 4) == 11, "features refused"
        for queue in range(self.queues):
            device.write(0x30, 4, queue)
            assert device.read(0x34, 4) >= SIZE
            device.write(0x38, 4, SIZE)
            for register, area in ((0x80, 0), (0x90, 0x400), (0xA0, 0x800)):
                address = self.area(queue, area)
                device.write(register, 4, address & 0xFFFF_FFFF)
                device.write(register + 4, 4, address >> 32)
            device.write(0x44, 4, 1)
            assert device.read(0x44, 4) == 1
        device.write(0x70, 4, 15)

    def area(self, queue: int, offset: int) -> int:
        return BASE + 0x1000 * queue + offset

    def place(self, length: int) -> int:
        address = self.free
        self.free += length + 15 & ~15
        return address

    def add(self, queue: int, send: Sequence[bytes], rooms: Sequence[int] = ()) -> int:
        """Make a request available without telling the device; returns its id."""
        buffers = []
        for data in send:
            address = self.place(len(data))
            self.ram.write(address, data)
            buffers.append((address, len(data), 0))
        receive = [(self.place(room), room, WRITE) for room in rooms]
        buffers += receive
        request = self._add_packed(queue, buffers) if self.packed else self._add_split(queue, buffers)
        self.rooms[queue, request] = [(address, length) for address, length, _ in receive]
        return request

    def _table(self, buffers: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Replace buffers by an indirect table of them where the driver uses those."""
        if not self.indirect:
            return buffers
        table = self.place(16 * len(buffers))
        for index, (address, length, flags) in enumerate(buffers):
            more = index + 1 < len(buffers)
            fields = (0, flags) if self.packed else (flags | (NEXT if more else 0), index + 1 if more else 0)
            self.ram.write(table + 16 * index, struct.pack("<QIHH", address, length, *fields))
        return [(table, 16 * len(buffers), INDIRECT)]

    def _add_split(self, queue: int, buffers: list[tuple[int, int, int]]) -> int:
        entries = self._table(buffers)
        count = self.next[queue]
        head = count * 3 % SIZE
        for index, (address, length, flags) in enumerate(entries):
            more = index + 1 < len(entries)
            at = (head + index) % SIZE
            fields = struct.pack("<QIHH", address, length, flags | (NEXT if more else 0), (at + 1) % SIZE)
            self.ram.write(self.area(queue, 16 * at), fields)
        self.ram.store(self.area(queue, 0x400 + 4 + 2 * (count % SIZE)), 2, head)
        self.next[queue] = count + 1 & 0xFFFF
        self.ram.store(self.area(queue, 0x400 + 2), 2, self.next[queue])
        return head

    def _add_packed(self, queue: int, buffers: list[tuple[int, int, int]]) -> int:
        entries = self._table(buffers)
        request = 100 + self.next[queue]
        for index, (address, length, flags) in enumerate(entries):
            flags |= NEXT if index + 1 < len(entries) else 0
            flags |= 0x80 if self.wrap[queue] else 0x8000
            at = self.area(queue, 16 * self.next[queue])
            self.ram.write(at, struct.pack("<QIHH", address, length, request, flags))
            self.next[queue] += 1
            if self.next[queue] == SIZE:
                self.next[queue], self.wrap[queue] = 0, not self.wrap[queue]
        self.rooms[queue, -request] = [(len(entries), 0)]
        return request

    def kick(self, queue: int) -> None:
        self.device.write(0x50, 4, queue)

    def take(self, queue: int) -> tuple[int, int, bytes] | None:
        """Take back the next finished request as (id, length, received bytes)."""
        if self.packed:
            at = self.area(queue, 16 * self.seen[queue])
            _, length, request, flags = struct.unpack("<QIHH", self.ram.read(at, 16))
            wrap = self.seen_wrap[queue]
            if bool(flags & 0x80) != wrap or bool(flags & 0x8000) != wrap:
                return None
            self.seen[queue] += self.rooms[queue, -request][0][0]
            if self.seen[queue] >= SIZE:
                self.seen[queue] -= SIZE
                self.seen_wrap[queue] = not wrap
        else:
            if self.ram.load(self.area(queue, 0x800 + 2), 2) == self.seen[queue]:
                return None
            at = self.area(queue, 0x800 + 4 + 8 * (self.seen[queue] % SIZE))
            request, length = struct.unpack("<II", self.ram.read(at, 8))
            self.seen[queue] = self.seen[queue] + 1 & 0xFFFF
        data = b"".join(self.ram.read(address, count) for address, count in self.rooms[queue, request])
        return request, length, data

    def ask(self, queue: int, send: Sequence[bytes], rooms: Sequence[int] = ()) -> bytes:
        """Do one request and return all the room it had."""
        request = self.add(queue, send, rooms)
        self.kick(queue)
        done = self.take(queue)
        assert done is not None and done[0] == request
        return done[2]

    def acknowledge(self) -> int:
        """Read and clear the interrupt's causes."""
        causes = self.device.read(0x60, 4)
        self.device.write(0x64, 4, causes)
        assert not self.irq.level
        return causes

    @property
    def broken(self) -> bool:
        return bool(self.device.read(0x70, 4) & 0x40)
