"""A network under test: the stack, a wire that may lose, double and delay, a guest of our own, and an outside."""

import random
import socket
import struct
import time
from collections.abc import Callable, Sequence

from guesthouse.host.network_loop import NetworkLoop
from guesthouse.host.network_sockets import HostNetwork
from guesthouse.virtual.network.outside import Broken, Problem
from guesthouse.virtual.network.plan import NetworkPlan
from guesthouse.virtual.network.stack import Stack, parse_resolver

GUEST_MAC, GATEWAY_MAC = bytes.fromhex("525400123456"), bytes.fromhex("525500676801")
GUEST, GATEWAY, DNS = (socket.inet_aton(f"10.0.2.{number}") for number in (15, 2, 3))
GUEST6, GATEWAY6, DNS6 = (socket.inet_pton(socket.AF_INET6, f"fd00:6768::{n}") for n in ("15", "2", "3"))
PLAIN = bytes(10) + b"\1\0"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def folded(data: bytes) -> int:
    """The Internet checksum's sum, the slow way."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ip_packet(
    source: bytes, destination: bytes, protocol: int, payload: bytes, name: int = 0, fragment: int = 0
) -> bytes:
    """Ethernet type and IP packet."""
    if len(source) == 16:
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + source + destination + payload
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), name, fragment, 64, protocol, 0, source, destination
    )
    field = 0xFFFF - folded(head)
    return b"\x08\x00" + head[:10] + field.to_bytes(2, "big") + head[12:] + payload


def with_checksum(source: bytes, destination: bytes, protocol: int, data: bytes, at: int) -> bytes:
    """A transport packet whose field at `at` becomes right."""
    data = data[:at] + b"\0\0" + data[at + 2 :]
    field = 0xFFFF - folded(source + destination + struct.pack("!II", len(data), protocol) + data)
    return data[:at] + field.to_bytes(2, "big") + data[at + 2 :]


class FakeStream:
    """A stream of an outside that is only memory."""

    def __init__(self, outside: "FakeOutside", address: bytes, port: int, user) -> None:
        self.outside, self.address, self.port, self.user = outside, address, port, user
        self.got = bytearray()
        self.room = 1 << 40
        self.to_give = bytearray()
        self.gives_end = self.finished = self.closed = self.was_reset = self.broken = False

    def give(self, data: bytes, end: bool = False) -> None:
        self.to_give += data
        self.gives_end |= end
        self.user.readable()

    def make_room(self, room: int) -> None:
        self.room = room
        self.user.writable()

    def receive(self, most: int) -> bytes | None:
        if self.broken:
            raise Broken
        if not self.to_give:
            return b"" if self.gives_end else None
        data = bytes(self.to_give[:most])
        del self.to_give[:most]
        return data

    def send(self, data) -> int:
        if self.broken:
            raise Broken
        count = min(len(data), self.room)
        self.got += data[:count]
        self.room -= count
        return count

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True

    def reset(self) -> None:
        self.closed = self.was_reset = True


class FakeDatagrams:
    """A socket of that outside."""

    def __init__(self, received, bounced=None) -> None:
        self.received, self.bounced = received, bounced
        self.sent: list[tuple[bytes, bytes, int]] = []
        self.closed = False
        self.problem: Problem | None = None

    def send(self, data, address: bytes, port: int) -> Problem | None:
        self.sent.append((bytes(data), address, port))
        return self.problem

    def close(self) -> None:
        self.closed = True


class FakeOutside:
    """Connections succeed at once, unless `answers` says what else by (address, port): a Problem, or None to hang."""

    def __init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.sockets: list[FakeDatagrams] = []
        self.answers: dict[tuple[bytes, int], Problem | None] = {}
        self.echoes_permitted = True
        self._random = random.Random(7)
        self.later: list[Callable[[], None]] = []

    def connect(self, address: bytes, port: int, user):
        stream = FakeStream(self, address, port, user)
        self.streams.append(stream)
        answer = self.answers.get((address, port), "yes")
        if answer == "yes":
            self.later.append(user.connected)
        elif answer is not None:
            self.later.append(lambda: user.failed(answer))
        return stream

    def datagrams(self, version: int, received, bounced):
        self.sockets.append(FakeDatagrams(received, bounced))
        return self.sockets[-1]

    def echoes(self, version: int, received):
        if not self.echoes_permitted:
            return None
        self.sockets.append(FakeDatagrams(received))
        return self.sockets[-1]

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)


class World:
    """Runs on a clock of its own; with `real`, on the host's sockets and clock."""

    def __init__(self, plan: NetworkPlan | None = None, real: bool = False, loss: float = 0.0, seed: int = 1) -> None:
        self.plan = plan or NetworkPlan(offload=False)
        self.real = real
        self.loss = loss
        self.random = random.Random(seed)
        self.now = time.monotonic() if real else 100.0
        self.loop = NetworkLoop(self._woken) if real else None
        self.outside = HostNetwork(self.loop) if self.loop else FakeOutside()
        self.refused: list = []
        self.full = False
        self.frames: list[bytes] = []
        """What the guest got, without virtio header, where no connection took it."""
        self.listeners: dict[int, Callable[[bytes], bool]] = {}
        """Who takes TCP segments for a port of the guest."""
        self.tickers: list[Callable[[], None]] = []
        self._to_guest: list[tuple[float, int, bytes]] = []
        self._to_stack: list[tuple[float, int, bytes]] = []
        self._count = 0
        resolvers = [parse_resolver(text) for text in self.plan.resolvers]
        self.stack = Stack(self.plan, self._transmit, self.outside, resolvers, self.refused.append)
        self.stack.advance(self.now)
        self.stack.link.learn(GUEST, GUEST_MAC)
        self.stack.link.learn(GUEST6, GUEST_MAC)

    # The wire.

    def _transmit(self, parts: Sequence[bytes]) -> bool:
        if self.full:
            return False
        self._put(self._to_guest, b"".join(parts))
        return True

    def send(self, frame: bytes, virtio: bytes = PLAIN) -> None:
        """From the guest: Ethernet type and what follows."""
        self._put(self._to_stack, virtio + GATEWAY_MAC + GUEST_MAC + frame)

    def send_raw(self, message: bytes) -> None:
        self._put(self._to_stack, message)

    def _put(self, queue: list[tuple[float, int, bytes]], message: bytes) -> None:
        chance = self.random.random()
        copies = 1
        if chance < self.loss:
            copies = 0
        elif chance < 2 * self.loss:
            copies = 2
        for _ in range(copies):
            delay = self.random.choice((0, 0, 0.002, 0.005)) if self.loss else 0
            self._count += 1
            queue.append((self.now + delay, self._count, message))

    def _woken(self) -> None:
        self.now = time.monotonic()
        self.stack.advance(self.now)

    def step(self, seconds: float = 0.001) -> None:
        """A turn."""
        if self.loop:
            self.loop.turn(0.0005)
        else:
            self.now += seconds
            self.stack.advance(self.now)
            later, self.outside.later = self.outside.later, []
            for call in later:
                call()
        for message in self._due(self._to_stack):
            self.stack.receive(memoryview(bytearray(message)))
        if not self.full:
            self.stack.flush()
        for message in self._due(self._to_guest):
            frame = message[12:]
            at = 14 + (20 if frame[12] == 8 else 40)
            listener = self.listeners.get(int.from_bytes(frame[at + 2 : at + 4], "big"))
            if not listener or not listener(message):
                self.frames.append(frame)
        for ticker in self.tickers:
            ticker()

    def _due(self, queue: list[tuple[float, int, bytes]]) -> list[bytes]:
        due = sorted(entry for entry in queue if entry[0] <= self.now)
        queue[:] = [entry for entry in queue if entry[0] > self.now]
        return [message for _, _, message in due]

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float = 30.0, step: float = 0.001) -> bool:
        """Turn until something holds; whether it did in time."""
        end = self.now + seconds
        while self.now < end:
            if until():
                return True
            self.step(step)
        return until()

    def settle(self) -> list[bytes]:
        """Some turns; the frames that came meanwhile."""
        for _ in range(5):
            self.step()
        frames, self.frames = self.frames, []
        return frames

    def ask(self, frame: bytes, virtio: bytes = PLAIN) -> list[bytes]:
        """Send a frame; what comes back."""
        self.send(frame, virtio)
        return self.settle()

    def udp(self, data: bytes, to: bytes, to_port: int, port: int = 5000, source: bytes = b"") -> list[bytes]:
        """Send a datagram; what comes back."""
        source = source or (GUEST if len(to) == 4 else GUEST6)
        datagram = struct.pack("!HHHH", port, to_port, 8 + len(data), 0) + data
        return self.ask(ip_packet(source, to, 17, with_checksum(source, to, 17, datagram, 6)))
