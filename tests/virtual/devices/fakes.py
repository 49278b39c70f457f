"""Small wires for devices under test."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from guesthouse.virtual.devices.catalogue import CATALOGUE, make
from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.virtio.console import PortDefinition
from guesthouse.virtual.devices.wires import BadAddress, NetDevice, Wires

BASE = 0x8000_0000
MAC = bytes.fromhex("525400123456")
ON_PCI = " on pci"


class Line:
    """An interrupt wire that remembers its level."""

    def __init__(self) -> None:
        self.level = False

    def set(self, level: bool) -> None:
        self.level = level


class Ram:
    """RAM of a few KiB at `BASE`."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.data = bytearray(size)

    def _at(self, address: int, length: int) -> int:
        start = address - BASE
        if start < 0 or length < 0 or start + length > len(self.data):
            raise BadAddress(hex(address))
        return start

    def read(self, address: int, length: int) -> bytes:
        start = self._at(address, length)
        return bytes(self.data[start : start + length])

    def write(self, address: int, data: bytes) -> None:
        start = self._at(address, len(data))
        self.data[start : start + len(data)] = data

    def view(self, address: int, length: int) -> memoryview:
        start = self._at(address, length)
        return memoryview(self.data)[start : start + length]

    def wrote(self, address: int, length: int) -> None:
        self._at(address, length)

    def discard(self, address: int, length: int) -> None:
        assert address % 4096 == 0 and length % 4096 == 0, "whole pages"
        self.write(address, bytes(length))

    def load(self, address: int, size: int) -> int:
        assert address % size == 0
        return int.from_bytes(self.read(address, size), "little")

    def store(self, address: int, size: int, value: int) -> None:
        assert address % size == 0
        self.write(address, value.to_bytes(size, "little"))


class Alarm:
    def __init__(self, when: int, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Time that stands still until `advance`."""

    EPOCH = 1_700_000_000_000_000_000

    def __init__(self) -> None:
        self.time = 0
        self.alarms: list[Alarm] = []

    def now(self) -> int:
        return self.time

    def realtime(self) -> int:
        return self.EPOCH + self.time

    def at(self, when: int, callback: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(when, callback))
        return self.alarms[-1]

    def at_date(self, when: int, callback: Callable[[], None]) -> Alarm:
        return self.at(when - self.EPOCH, callback)

    def advance(self, nanoseconds: int) -> None:
        self.time += nanoseconds
        due = [alarm for alarm in self.alarms if alarm.when <= self.time]
        self.alarms = [alarm for alarm in self.alarms if alarm.when > self.time]
        for alarm in due:
            if not alarm.cancelled:
                alarm.callback()


class Power:
    def __init__(self) -> None:
        self.events: list[object] = []

    def off(self, code: int) -> None:
        self.events.append(code)

    def reset(self) -> None:
        self.events.append("reset")


class Output:
    """A character or port backend that keeps what it gets."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_open = False

    def write(self, data: bytes) -> None:
        self.data += data

    def opened(self, is_open: bool) -> None:
        self.is_open = is_open


class Hart:
    def __init__(self) -> None:
        self.compare = 0
        self.ticks = 0x1234
        self.level = False

    def time(self) -> int:
        return self.ticks

    def software(self, level: bool) -> None:
        self.level = level


class Disk:
    """A disk in memory that fails at sector `broken`."""

    def __init__(self, sectors: int = 64, readonly: bool = False, broken: int | None = None) -> None:
        self.data = bytearray(sectors * 512)
        self.readonly, self.broken = readonly, broken
        self.flushes = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def _check(self, offset: int, length: int) -> None:
        assert offset % 512 == 0 and length % 512 == 0, "whole sectors"
        if self.broken is not None and offset <= self.broken * 512 < offset + length:
            raise OSError("broken")
        assert offset >= 0 and offset + length <= self.size, "the device must not reach outside the disk"

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        self._check(offset, sum(map(len, buffers)))
        for buffer in buffers:
            buffer[:] = self.data[offset : offset + len(buffer)]
            offset += len(buffer)

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        assert not self.readonly
        self._check(offset, sum(map(len, buffers)))
        for buffer in buffers:
            self.data[offset : offset + len(buffer)] = buffer
            offset += len(buffer)

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        self._check(offset, length)
        self.data[offset : offset + length] = bytes(length)

    def discard(self, offset: int, length: int) -> None:
        self.write_zeroes(offset, length, True)

    def flush(self) -> None:
        self.flushes += 1


class Work:
    """Does jobs at once, or keeps them until `finish`; `holds` has why the machine would stand still."""

    def __init__(self, later: bool = False) -> None:
        self.later = later
        self.jobs: list[tuple[Callable[[], None], Callable[[OSError | None], None]]] = []
        self.holds: list[tuple[str, Callable[[], bool]]] = []

    def lane(self) -> "Work":
        return self

    def do(self, job: Callable[[], None], done: Callable[[OSError | None], None]) -> None:
        self.jobs.append((job, done))
        if not self.later:
            self.finish()

    def finish(self, number: int = -1) -> None:
        job, done = self.jobs.pop(number)
        try:
            job()
        except OSError as error:
            done(error)
        else:
            done(None)

    def wait(self) -> None:
        while self.jobs:
            self.finish(0)

    def hold(self, why: str, again: Callable[[], bool]) -> None:
        self.holds.append((why, again))


class Cable:
    """A network that keeps what it gets while it has room, and of which `arriving` comes in when the card has room."""

    def __init__(self, offload: bool = True) -> None:
        self.mac, self.mtu, self.offload, self.up = MAC, 1500, offload, True
        self.capacity = 1000
        self.packets: list[bytes] = []
        self.arriving: list[bytes] = []
        self.rooms = 0
        self.device: NetDevice | None = None

    def attach(self, device: NetDevice) -> None:
        self.device = device

    def send(self, packet: Sequence[memoryview]) -> bool:
        if len(self.packets) >= self.capacity:
            return False
        self.packets.append(b"".join(packet))
        return True

    def room(self) -> None:
        self.rooms += 1
        for packet in self.arriving:
            self.deliver(packet)

    def deliver(self, packet: bytes) -> bool:
        assert self.device is not None
        taken = self.device.deliver(memoryview(packet))
        self.device.settle()
        return taken


def long_packets() -> list[bytes]:
    """A frame, half a checksum, and segments to be made, some of them malformed."""
    frame = MAC + MAC + b"\x08\x00" + b"\x45" + bytes(8) + b"\x06" + bytes(22) + b"\x50" + bytes(3000)
    heads = [(0, 0, 0, 0, 0), (1, 0, 0, 34, 16), (1, 1, 700, 34, 16), (1, 4, 1, 34, 16), (1, 1, 0, 0, 0)]
    heads += [(1, 1, 100, 60_000, 60_000), (1, 0x81, 65_535, 3044, 0), (255, 255, 255, 255, 255)]
    return [
        struct.pack("<BBHHHHH", flags, kind, 54, size, at, field, 1) + frame for flags, kind, size, at, field in heads
    ]


class Dice:
    """Random bytes from a seed."""

    def __init__(self) -> None:
        self.random = random.Random(1)

    def bytes(self, count: int) -> bytes:
        return self.random.randbytes(count)


class Share:
    """A share whose server answers every request with an error, at once or when it is told to."""

    tag = b"folder"

    def __init__(self, at_once: bool = True) -> None:
        self.at_once, self.ready = at_once, True
        self.sent: list[bytes] = []
        self.resets = 0

    def attach(self, device: Any) -> None:
        self.device = device

    def send(self, parts: Sequence[memoryview]) -> None:
        message = b"".join(parts)
        assert self.ready and 7 <= len(message) <= 512 << 10
        self.sent.append(message)
        if not self.at_once and len(self.sent) == 4:
            self.ready = False

    def answer(self, content: bytes = bytes((11, 0, 0, 0, 7, 0, 0, 5, 0, 0, 0))) -> None:
        """Answer what has been sent, the last first."""
        sent, self.sent = self.sent, []
        for message in reversed(sent):
            answer = bytearray(content)
            answer[5:7] = message[5:7]
            self.device.answer(memoryview(answer))
        self.ready = True
        self.device.proceed()

    def flush(self) -> None:
        if self.at_once and self.sent:
            self.answer()

    def reset(self) -> None:
        self.sent.clear()
        self.resets += 1


class Sockets:
    """A socket backend that keeps what comes, and sends it back with its ends exchanged where it is told to."""

    def __init__(self, echo: bool = True) -> None:
        self.echo, self.ready = echo, True
        self.sent: list[bytes] = []
        self.resets = self.asked = 0

    def attach(self, device: Any) -> None:
        self.device = device

    def send(self, packet: bytes) -> None:
        assert self.ready and 44 <= len(packet) <= 44 + (128 << 10)
        self.sent.append(packet)

    def more(self) -> None:
        self.asked += 1
        sent, self.sent = self.sent, self.sent if not self.echo else []
        for packet in sent if self.echo else ():
            self.device.receive(packet[8:16] + packet[:8] + packet[20:24] + packet[16:20] + packet[24:])

    def reset(self) -> None:
        self.sent.clear()
        self.resets += 1


def backend(kind: str) -> Any:
    """A backend of the type a kind of device asks for."""
    if kind == "uart":
        return Output()
    if kind == "virtio-block":
        return Disk()
    if kind == "virtio-console":
        return [PortDefinition("console", Output()), PortDefinition("guesthouse.control", Output())]
    if kind == "virtio-9p":
        return Share()
    if kind == "virtio-vsock":
        return Sockets()
    if kind == "virtio-net":
        cable = Cable()
        cable.arriving = long_packets()
        return cable
    return Dice() if kind == "virtio-entropy" else None


def wires(kind: str = "", memory: Ram | None = None) -> Wires:
    """A full set of fresh wires."""
    return Wires(
        irq=Line(),
        memory=memory or Ram(),
        clock=Clock(),
        power=Power(),
        work=Work(),
        backend=backend(kind),
        harts=(Hart(), Hart()),
        contexts=(Line(), Line(), Line(), Line()),
        lines=(Line(), Line(), Line(), Line()),
    )


def kinds(wanted: str = "") -> list[str]:
    """Every kind of device whose name begins so; those that may be on PCI too, with " on pci" behind the name."""
    found = [kind for kind in sorted(CATALOGUE) if kind.startswith(wanted)]
    return found + [kind + ON_PCI for kind in found if kind.startswith("virtio-") and kind != "virtio-empty"]


def make_device(kind: str, memory: Ram | None = None) -> Device:
    """A device of one of these kinds, on fresh wires."""
    name = kind.removesuffix(ON_PCI)
    return make(name, replace(wires(name, memory), on_pci=name != kind))
