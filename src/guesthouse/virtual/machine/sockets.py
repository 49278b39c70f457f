"""The machine's end of a guest's sockets: between the device and the process that has the host's."""

from collections.abc import Callable

from guesthouse.host.companion import Companion
from guesthouse.host.guest_sockets import Presence, opened_listener
from guesthouse.virtual.devices.wires import SocketDevice
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.sockets.companion import NAME
from guesthouse.virtual.sockets.packets import CARRY, LARGEST, MESSAGE, PACKET, RESET, RESET_DONE, message

SERVER = "guesthouse.virtual.sockets.companion"
COMMAND = "guest sockets"


class SocketLink:
    """The socket at a path and its process, which is started here: before this one is confined.

    The machine's thread uses it. Raises UserError where nothing can listen at the path.
    """

    def __init__(self, path: str) -> None:
        with opened_listener(path) as (listener, folder, name):
            self._companion = Companion(SERVER, COMMAND, [listener, folder], NAME.pack(name), LARGEST)
        self._presence = Presence(path)
        self._inbox: Inbox | None = None
        self._device: SocketDevice | None = None
        self._serial = 0
        self._resetting = self._used = False

    def connect(self, inbox: Inbox) -> None:
        """Tell it where calls are posted to."""
        self._inbox = inbox
        self._watch()

    # What the device calls.

    def attach(self, device: SocketDevice) -> None:
        """Take the device."""
        self._device = device

    @property
    def ready(self) -> bool:
        """Whether a packet is taken now."""
        return self._companion.ready

    def send(self, packet: bytes) -> None:
        """Take one packet."""
        self._used = True
        head = MESSAGE.pack(MESSAGE.size + len(packet), CARRY, 0)
        self._companion.send([memoryview(head), memoryview(packet)])
        if not self._companion.ready:
            self._watch()

    def more(self) -> None:
        """The device takes packets again."""
        self._watch()

    def reset(self) -> None:
        """Have the other side forget all connections; packets are dropped until it says that it has."""
        if self._resetting and not self._used:
            return  # what it has been told already does for this one too
        self._resetting, self._used = True, False
        self._serial = self._serial + 1 & 0xFFFF
        self._companion.send([memoryview(message(RESET, self._serial))])
        self._watch()

    # What comes back.

    def _watch(self) -> None:
        """Have the machine's thread called when there are packets, as long as the guest takes them."""
        if self._inbox is not None and not self._companion.ended:
            self._companion.watch(self._called, answers=self._hungry)

    @property
    def _hungry(self) -> bool:
        return self._resetting or self._device is None or self._device.hungry

    def _called(self) -> None:
        assert self._inbox is not None
        self._inbox.post(self._woken)

    def _woken(self) -> None:
        self._companion.push()
        device = self._device
        assert device is not None
        if self._hungry:
            self._take(device.receive)
        if self._companion.ended:
            device.fail()
        else:
            device.proceed()
            self._watch()

    def _take(self, receive: Callable[[bytes], object]) -> None:
        for found in self._companion.receive(once=True):
            _, kind, serial = MESSAGE.unpack_from(found)
            if kind == RESET_DONE:
                self._resetting = self._resetting and serial != self._serial
            elif not self._resetting and len(found) >= MESSAGE.size + PACKET.size:
                receive(bytes(found[MESSAGE.size :]))

    def close(self) -> None:
        """End the process, and remove the socket where this process may."""
        self._companion.close()
        self._presence.remove()
