"""The virtio entropy device (section 5.4): random bytes from the host, or from the run's seed.

Not modelled: nothing.
"""

from typing import ClassVar

from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.queue import Chain
from guesthouse.virtual.devices.wires import Entropy

MAX_BYTES = 1 << 16
"""Bytes given to one request; the driver asks again for more."""


class VirtioEntropy(Function):
    """Fills every buffer it is given."""

    device_id: ClassVar[int] = 4
    queue_sizes = (64,)

    def __init__(self, entropy: Entropy | None) -> None:
        self.entropy = entropy
        self.start()

    def notify(self, queue: int) -> None:
        """Fill the waiting buffers."""
        if self.entropy is not None:
            self.transport.serve(queue, self._fill)

    def _fill(self, chain: Chain) -> int:
        count = min(chain.to_write, MAX_BYTES)
        if self.entropy is not None and count:
            chain.write(self.transport.memory, 0, self.entropy.bytes(count))
        return count
