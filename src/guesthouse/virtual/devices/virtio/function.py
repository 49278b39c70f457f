"""What a virtio device type is to its transport."""

from collections.abc import Callable
from typing import ClassVar, Protocol

from guesthouse.virtual.devices.state import Stateful
from guesthouse.virtual.devices.virtio.queue import Chain, Handler
from guesthouse.virtual.devices.wires import Memory


class Transport(Protocol):
    """What a device type may ask of its transport."""

    memory: Memory

    @property
    def running(self) -> bool:
        """Whether the driver is ready and nothing has gone wrong."""

    def accepted(self, feature: int) -> bool:
        """Tell whether the driver has accepted a feature bit."""

    def serve(self, queue: int, handler: Handler, wanted: Callable[[], bool] | None = None) -> None:
        """Do all requests waiting in a queue, or those until `wanted` says no; nothing unless the driver is ready."""

    def accept(self, queue: int, begin: Callable[[Chain], None], wanted: Callable[[], bool] | None = None) -> None:
        """Take the requests waiting in a queue and begin each; `give` and `settle` follow when it is done."""

    def take(self, queue: int) -> Chain | None:
        """Take the next waiting request, for a device that has several under way; None where none waits."""

    def untake(self, queue: int, chain: Chain) -> None:
        """Put back the request that was taken last, as if it had not been."""

    def give(self, queue: int, chain: Chain, written: int) -> None:
        """Give a request back with the number of bytes written into it; they may come back in any order."""

    def settle(self, queue: int) -> None:
        """Interrupt the driver where it wants to hear of what has been given back."""

    def break_off(self) -> None:
        """The driver has broken the rules: nothing works until it resets the device."""

    def config_changed(self) -> None:
        """Tell the driver that the configuration space has changed."""


class Function(Stateful):
    """A device type: its number, features, queues and configuration space (the register table)."""

    device_id: ClassVar[int] = 0
    queue_sizes: tuple[int, ...] = ()
    features: int = 0
    transport: Transport

    def notify(self, queue: int) -> None:
        """The driver has put requests into a queue."""

    def quiesce(self) -> None:
        """The driver takes a queue's buffers back: wait until nothing more is done with them."""


class Nothing(Function):
    """An empty slot: device number 0, which drivers pass over (section 4.2.3.1.1)."""

    def __init__(self) -> None:
        self.start()
