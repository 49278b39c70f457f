"""The packed ring: one ring of descriptors that both sides write (section 2.8).

Not modelled: asking for fewer notifications through the device event area (every one is welcome).
"""

from guesthouse.virtual.devices.virtio.queue import (
    DESCRIPTOR,
    INDIRECT,
    NEXT,
    WRITE,
    Chain,
    Queue,
    RingError,
    read_indirect,
)
from guesthouse.virtual.devices.wires import Memory

AVAILABLE, USED = 1 << 7, 1 << 15
FLAGS = 14
EVENT_FLAGS = 2
DISABLE, DESCRIPTOR_EVENT = 1, 2


class PackedLayout:
    """Reads and writes packed rings."""

    def valid_size(self, size: int) -> bool:
        """Any number up to 32768."""
        return 0 < size <= 32768

    def aligned(self, queue: Queue) -> bool:
        """Ring 16, event areas 4 bytes."""
        return not (queue.descriptors & 15 or queue.driver & 3 or queue.device & 3)

    def _is_available(self, queue: Queue, memory: Memory, position: int, wrap: bool) -> int | None:
        flags = memory.load(queue.descriptors + position * DESCRIPTOR.size + FLAGS, 2)
        return flags if bool(flags & AVAILABLE) == wrap and bool(flags & USED) != wrap else None

    def pop(self, queue: Queue, memory: Memory) -> Chain | None:
        """Take the next available chain."""
        position, wrap = queue.available, queue.available_wrap
        if self._is_available(queue, memory, position, wrap) is None:
            return None
        chain = Chain(0, slots=0)
        flags = NEXT
        while flags & NEXT:
            if chain.slots == queue.size:
                raise RingError("a chain longer than the ring")
            place = queue.descriptors + position * DESCRIPTOR.size
            address, length, chain.id, flags = DESCRIPTOR.unpack(memory.read(place, DESCRIPTOR.size))
            chain.slots += 1
            position += 1
            if position == queue.size:
                position, wrap = 0, not wrap
            if not flags & INDIRECT:
                chain.add(address, length, flags)
            elif not queue.indirect or flags & NEXT or chain.slots > 1:
                raise RingError("an indirect table where none is allowed")
            else:
                read_indirect(memory, address, length, chain, follow_next=False)
        queue.available, queue.available_wrap = position, wrap
        return chain

    def unpop(self, queue: Queue, chain: Chain) -> None:
        """Put back the chain that was taken last."""
        queue.available -= chain.slots
        if queue.available < 0:
            queue.available += queue.size
            queue.available_wrap = not queue.available_wrap

    def push(self, queue: Queue, memory: Memory, chain: Chain, written: int) -> None:
        """Write a used descriptor, its flags last."""
        place = queue.descriptors + queue.used * DESCRIPTOR.size
        memory.write(place + 8, written.to_bytes(4, "little") + chain.id.to_bytes(2, "little"))
        flags = (AVAILABLE | USED if queue.used_wrap else 0) | (WRITE if written else 0)
        memory.store(place + FLAGS, 2, flags)
        queue.used += chain.slots
        queue.unsignalled = min(queue.unsignalled + chain.slots, 0xFFFF)
        if queue.used >= queue.size:
            queue.used -= queue.size
            queue.used_wrap = not queue.used_wrap

    def rearm(self, queue: Queue, memory: Memory) -> bool:
        """Notifications are always on, so only look once more."""
        return self._is_available(queue, memory, queue.available, queue.available_wrap) is None

    def wants_interrupt(self, queue: Queue, memory: Memory) -> bool:
        """Look at the driver event area (section 2.8.10)."""
        fresh, queue.unsignalled = queue.unsignalled, 0
        if not fresh:
            return False
        mode = memory.load(queue.driver + EVENT_FLAGS, 2) & 3
        if mode != DESCRIPTOR_EVENT or not queue.events:
            return mode != DISABLE
        event = memory.load(queue.driver, 2)
        position = (event & 0x7FFF) - (queue.size if bool(event >> 15) != queue.used_wrap else 0)
        return queue.used - fresh <= position < queue.used or fresh >= queue.size
