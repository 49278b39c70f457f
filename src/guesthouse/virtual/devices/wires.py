"""What a device is connected to: the only things it may know of the world outside its registers.

Everything here is an interface. The machine makes the real ones, the tests make small fakes. The machine calls a device
from one thread at a time, so neither side locks.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from guesthouse.virtual.memory.faults import BadAddress as BadAddress


class Irq(Protocol):
    """One interrupt line into an interrupt controller or a hart, level-triggered."""

    def set(self, level: bool) -> None:
        """Drive the line; setting the level it has already is allowed and changes nothing."""


class Memory(Protocol):
    """Guest-physical RAM as a bus master sees it; every method raises `BadAddress` outside RAM."""

    def read(self, address: int, length: int) -> bytes:
        """Copy `length` bytes out of RAM."""

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Copy `data` into RAM."""

    def view(self, address: int, length: int) -> memoryview:
        """RAM itself, for a transfer without a copy; what is written into it is told with `wrote`."""

    def wrote(self, address: int, length: int) -> None:
        """Tell that a range has been written through its view."""

    def discard(self, address: int, length: int) -> None:
        """Give whole pages back to the host; they read as zeros."""

    def load(self, address: int, size: int) -> int:
        """Read one little-endian word of 1, 2, 4 or 8 bytes, naturally aligned, in one piece."""

    def store(self, address: int, size: int, value: int) -> None:
        """Write one little-endian word of 1, 2, 4 or 8 bytes, naturally aligned, in one piece."""


class Alarm(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None:
        """Forget the callback; allowed after it has run."""


class Clock(Protocol):
    """Time in nanoseconds: the host's, or counted in instructions."""

    def now(self) -> int:
        """Nanoseconds since the machine started; never goes back."""

    def realtime(self) -> int:
        """Nanoseconds since 1970-01-01 00:00 UTC."""

    def at(self, when: int, callback: Callable[[], None]) -> Alarm:
        """Call back once, from the machine, when `now()` has reached `when` (at once where that is past)."""

    def at_date(self, when: int, callback: Callable[[], None]) -> Alarm:
        """Call back, from the machine, when `realtime()` has reached `when`, though `now()` may have stood still."""


class Power(Protocol):
    """The machine's switch; the guest stops at the end of the current instruction."""

    def off(self, code: int) -> None:
        """Switch off, with the status the run ends with (0 is success)."""

    def reset(self) -> None:
        """Start again from the reset vector."""


class CharacterBackend(Protocol):
    """Where a serial device's output goes; its input is pushed with the device's `receive`."""

    def write(self, data: bytes) -> None:
        """Take all of `data`."""


class PortBackend(CharacterBackend, Protocol):
    """The host's end of one port of a virtio console."""

    def opened(self, is_open: bool) -> None:
        """Hear whether the guest's end is open; also called where that has not changed."""


class NetDevice(Protocol):
    """What a network calls of a card; from the machine's thread."""

    def deliver(self, packet: memoryview) -> bool:
        """Take a packet (header, then frame); false where there is no room for it now."""

    def settle(self) -> None:
        """Tell the guest of what has been delivered."""

    def send_all(self) -> None:
        """Go on sending: there is room again."""

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out."""


class NetBackend(Protocol):
    """The network that a card is plugged into; packets are a virtio header of twelve bytes and an Ethernet frame."""

    mac: bytes
    mtu: int
    offload: bool
    """Whether it takes and gives frames without checksums, and segments of up to 64 KiB."""

    @property
    def up(self) -> bool:
        """Whether the cable is plugged in at the other end; `set_link` tells when that changes."""

    def attach(self, device: NetDevice) -> None:
        """Take the card."""

    def send(self, packet: Sequence[memoryview]) -> bool:
        """Take a packet, in parts; false where there is no room for it now: `send_all` is called when there is."""

    def room(self) -> None:
        """The guest has given room for packets."""


class Shortcut(Protocol):
    """Accesses to a device that need not come to it one by one, while that makes no difference to the guest.

    Each call takes the place of the one before; what was collected comes before anything else reaches the device.
    """

    def answer(self, offset: int, value: int | None) -> None:
        """Have loads of the byte at `offset` give `value`; None: have them come here again."""

    def collect(self, offset: int, take: Callable[[bytes], object] | None) -> None:
        """Have stores to the byte at `offset` collected, and `take` called with them soon; None: not any more."""


class BlockBackend(Protocol):
    """A disk; offsets and lengths are in bytes, and multiples of 512.

    Any method may raise `OSError`, which the guest sees as an I/O error; several threads may be in them at once. What
    requests under way together do to the same bytes is as undefined as it is with a real disk.
    """

    @property
    def size(self) -> int:
        """The capacity in bytes."""

    @property
    def readonly(self) -> bool:
        """Whether writes are refused."""

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        """Fill the buffers, one behind the other."""

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        """Write the buffers, one behind the other."""

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        """Make a range read as zeros, giving its space back to the host where `unmap` is set."""

    def discard(self, offset: int, length: int) -> None:
        """Give a range's space back; what it reads as from then on is for the backend to say."""

    def flush(self) -> None:
        """Return once all that was written before would survive a loss of power."""


class Lane(Protocol):
    """Jobs of one sort, for example the reads of one disk."""

    def do(self, job: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        """Have `job` done, and `done` called by the machine's thread with what it raised.

        At once where such jobs are quick, else by another thread, so `job` touches nothing of the device.
        """


class Work(Protocol):
    """Jobs that may take long, beside the machine's thread."""

    def lane(self) -> Lane:
        """A lane for jobs of one more sort."""

    def wait(self) -> None:
        """Come back when all jobs are done."""

    def hold(self, why: str, again: Callable[[], bool]) -> None:
        """Have the machine and its time stand still until `again`, called now and then, says that it can go on.

        `why` is a sentence for the user.
        """


class ShareDevice(Protocol):
    """What a server of 9P messages gives its answers to."""

    def answer(self, message: memoryview) -> None:
        """Take one answer, which belongs to the device; they come in any order."""

    def proceed(self) -> None:
        """The last of some answers has come, or there is room for messages again."""

    def fail(self) -> None:
        """The server is gone."""


class ShareBackend(Protocol):
    """A server of 9P messages for one guest."""

    def attach(self, device: ShareDevice) -> None:
        """Hear, once, who gets the answers."""

    @property
    def tag(self) -> bytes:
        """The name under which the guest finds the share."""

    @property
    def ready(self) -> bool:
        """Whether it takes a message now; `proceed` is called when that changes."""

    def send(self, parts: Sequence[memoryview]) -> None:
        """Take one message of at most 512 KiB, in parts; its tag is the device's own, below the queue's size."""

    def flush(self) -> None:
        """Nothing more is sent now; answers may come from within."""

    def reset(self) -> None:
        """Forget everything: no answer to what was sent before comes any more."""


class SocketDevice(Protocol):
    """What the packets of a socket backend come to."""

    @property
    def hungry(self) -> bool:
        """Whether it has handed on all packets that came."""

    def receive(self, packet: bytes) -> None:
        """Take one packet for the guest, of at least a header; `proceed` follows behind the last of some."""

    def proceed(self) -> None:
        """The last of some packets has come, there is room for packets again, or what was before a reset is over."""

    def fail(self) -> None:
        """The backend is gone, and all connections with it."""


class SocketBackend(Protocol):
    """The other end of a guest's virtio sockets."""

    def attach(self, device: SocketDevice) -> None:
        """Hear, once, who gets the packets."""

    @property
    def ready(self) -> bool:
        """Whether it takes a packet now; `proceed` is called when that changes."""

    def send(self, packet: bytes) -> None:
        """Take one packet, of at least a header."""

    def more(self) -> None:
        """The device is hungry: it takes packets again."""

    def reset(self) -> None:
        """Forget all connections: no packet of theirs comes any more."""


class Entropy(Protocol):
    """A source of random bytes: the host's, or seeded."""

    def bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""


class HartTimer(Protocol):
    """What the CLINT reaches of one hart."""

    compare: int
    """mtimecmp in ticks; setting it raises or lowers the hart's timer interrupt."""

    def time(self) -> int:
        """The hart's mtime in ticks."""

    def software(self, level: bool) -> None:
        """Drive the hart's machine software interrupt."""


class Wires(msgspec.Struct, frozen=True):
    """Everything a board can connect to one device; each device takes the few it needs.

    `contexts` are the interrupt controller's outputs, two a hart (machine, then supervisor). `backend` is the host's
    end of this device, of the type its kind asks for, or None where nothing is connected. `shortcut` is None where each
    access must come to the device. `lines` are all interrupt lines of a device that has several, `irq` the first.
    `on_pci`: the device is a function on a PCI bus, and `irq` its INTA#.
    """

    irq: Irq
    memory: Memory
    clock: Clock
    power: Power
    work: Work
    backend: object = None
    harts: tuple[HartTimer, ...] = ()
    contexts: tuple[Irq, ...] = msgspec.field(default=())
    shortcut: Shortcut | None = None
    lines: tuple[Irq, ...] = ()
    on_pci: bool = False
