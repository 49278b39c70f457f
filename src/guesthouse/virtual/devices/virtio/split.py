"""The split ring: a descriptor table, an available ring and a used ring (section 2.7).

Not modelled: VIRTIO_F_IN_ORDER (requests complete in order all the same).
"""

from guesthouse.virtual.devices.virtio.queue import DESCRIPTOR, INDIRECT, NEXT, Chain, Queue, RingError, read_indirect
from guesthouse.virtual.devices.wires import Memory

INDEX = 2
RING = 4
USED_ELEMENT = 8
NO_INTERRUPT = 1
WRAP = 0xFFFF


class SplitLayout:
    """Reads and writes split rings."""

    def valid_size(self, size: int) -> bool:
        """A power of two up to 32768."""
        return 0 < size <= 32768 and size & size - 1 == 0

    def aligned(self, queue: Queue) -> bool:
        """Table 16, available ring 2, used ring 4 bytes."""
        return not (queue.descriptors & 15 or queue.driver & 1 or queue.device & 3)

    def pop(self, queue: Queue, memory: Memory) -> Chain | None:
        """Take the next available chain."""
        waiting = memory.load(queue.driver + INDEX, 2) - queue.available & WRAP
        if not waiting:
            return None
        if waiting > queue.size:
            raise RingError("more chains available than the ring has slots")
        head = memory.load(queue.driver + RING + 2 * (queue.available % queue.size), 2)
        chain = self._walk(queue, memory, head)
        queue.available = queue.available + 1 & WRAP
        return chain

    def _walk(self, queue: Queue, memory: Memory, head: int) -> Chain:
        chain = Chain(head)
        index = head
        for _ in range(queue.size):
            if index >= queue.size:
                raise RingError("a descriptor number outside the table")
            place = queue.descriptors + index * DESCRIPTOR.size
            address, length, flags, index = DESCRIPTOR.unpack(memory.read(place, DESCRIPTOR.size))
            if flags & INDIRECT:
                if not queue.indirect or flags & NEXT:
                    raise RingError("an indirect table where none is allowed")
                read_indirect(memory, address, length, chain, follow_next=True)
                return chain
            chain.add(address, length, flags)
            if not flags & NEXT:
                return chain
        raise RingError("a chain with a loop")

    def unpop(self, queue: Queue, chain: Chain) -> None:
        """Put back the chain that was taken last."""
        queue.available = queue.available - 1 & WRAP

    def push(self, queue: Queue, memory: Memory, chain: Chain, written: int) -> None:
        """Write a used element, then the index that shows it."""
        place = queue.device + RING + USED_ELEMENT * (queue.used % queue.size)
        memory.write(place, chain.id.to_bytes(4, "little") + written.to_bytes(4, "little"))
        queue.used = queue.used + 1 & WRAP
        queue.unsignalled = min(queue.unsignalled + 1, WRAP)
        memory.store(queue.device + INDEX, 2, queue.used)

    def rearm(self, queue: Queue, memory: Memory) -> bool:
        """Publish avail_event, then look once more for what came in meanwhile."""
        if not queue.events:
            return True
        memory.store(queue.device + RING + USED_ELEMENT * queue.size, 2, queue.available)
        return memory.load(queue.driver + INDEX, 2) == queue.available

    def wants_interrupt(self, queue: Queue, memory: Memory) -> bool:
        """Look at used_event, or at the NO_INTERRUPT flag (section 2.7.7)."""
        fresh, queue.unsignalled = queue.unsignalled, 0
        if not fresh:
            return False
        if not queue.events:
            return not memory.load(queue.driver, 2) & NO_INTERRUPT
        event = memory.load(queue.driver + RING + 2 * queue.size, 2)
        return (queue.used - event - 1 & WRAP) < fresh
