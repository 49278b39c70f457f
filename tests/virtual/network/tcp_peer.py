"""A small TCP of the tests' own, for the guest: go-back-N, keeps what comes out of order, checks every checksum."""

import struct

from tests.virtual.network.world import ACK, FIN, GATEWAY, GUEST, PSH, RST, SYN, World, folded, ip_packet, with_checksum

WORD = 0xFFFFFFFF
RESEND = 0.15


def signed(value: int) -> int:
    return ((value + 0x80000000) & WORD) - 0x80000000


class Peer:
    """One connection of the guest; `listen` makes it wait for one to its port instead of asking for one."""

    def __init__(
        self, world: World, to_port: int = 80, to: bytes = GATEWAY, port: int = 40000, source: bytes = GUEST,
        window: int = 1 << 20, scale: int | None = 7, mss: int = 1460, listen: bool = False,
    ) -> None:  # fmt: skip
        self.world = world
        self.ports = (port, to_port)
        self.addresses = (source, to)
        self.window, self.scale, self.mss = window, scale, mss
        self.una = self.nxt = self.base = world.random.getrandbits(32)
        self.ack = 0
        self.out = bytearray()
        self.got = bytearray()
        self.early: dict[int, bytes] = {}
        self.peer_window = 0
        self.peer_scale = 0
        self.open = self.ended = self.reset = self.finished = self.silent = False
        self.fin_acked = False
        self.dead_at: float | None = None
        self.resets_sent = 0
        self.segments: list[tuple[int, int, int, int]] = []
        """flags, relative sequence, window, payload size of all that came"""
        self.listening = listen
        self._sent_at = world.now
        world.listeners[port] = self.take
        world.tickers.append(self.tick)
        if not listen:
            self.emit(self.una, SYN)

    # What it does.

    def send(self, data: bytes) -> None:
        self.out += data
        self.push()

    def finish(self) -> None:
        self.finished = True
        self.push()

    def emit(self, seq: int, flags: int, payload: bytes = b"", window: int | None = None) -> None:
        options = b""
        scale = self.scale
        if flags & SYN:
            options = struct.pack("!BBH", 2, 4, self.mss) + (b"" if scale is None else bytes([3, 3, scale, 0]))
        window = self.window if window is None else window
        told = min(0xFFFF, window if flags & SYN else window >> (scale or 0))
        size = (20 + len(options)) << 2
        ack = self.ack if flags & ACK else 0
        segment = (
            struct.pack("!HHIIBBHHH", *self.ports, seq & WORD, ack & WORD, size, flags, told, 0, 0) + options + payload
        )
        source, to = self.addresses
        self.world.send(ip_packet(source, to, 6, with_checksum(source, to, 6, segment, 16)))

    @property
    def limit(self) -> int:
        return self.base + 1 + len(self.out)

    def push(self) -> None:
        """Send what the window takes."""
        if not self.open or self.silent or self.reset:
            return
        while self.nxt < self.limit:
            size = min(self.mss, self.limit - self.nxt, self.una + self.peer_window - self.nxt)
            if size <= 0:
                break
            at = self.nxt - self.base - 1
            self.emit(self.nxt, ACK | PSH, bytes(self.out[at : at + size]))
            self.nxt += size
            self._sent_at = self.world.now
        if self.finished and self.nxt == self.limit:
            self.emit(self.nxt, ACK | FIN)
            self.nxt += 1
            self._sent_at = self.world.now

    def tick(self) -> None:
        if self.reset or self.silent or self.world.now - self._sent_at < RESEND:
            return
        self._sent_at = self.world.now
        if not self.open:
            if not self.listening:
                self.emit(self.base, SYN)
        elif self.una < self.nxt:
            self.nxt = self.una
            self.push()
        elif self.nxt < self.limit:  # a closed window: probe it
            at = self.nxt - self.base - 1
            self.emit(self.nxt, ACK, bytes(self.out[at : at + 1]))

    # What comes.

    def take(self, message: bytes) -> bool:
        frame = message[26:]
        source, to = self.addresses
        if message[24:26] == b"\x08\x00":
            if frame[9] != 6 or frame[12:16] != to or frame[16:20] != source:
                return False
            assert folded(frame[:20]) == 0xFFFF
            assert int.from_bytes(frame[2:4], "big") == len(frame)
            segment = frame[20:]
        else:
            if frame[6] != 6 or frame[8:24] != to or frame[24:40] != source:
                return False
            assert int.from_bytes(frame[4:6], "big") == len(frame) - 40
            segment = frame[40:]
        from_port, port, seq, ack, size, flags, window, _, _ = struct.unpack_from("!HHIIBBHHH", segment)
        if port != self.ports[0] or (from_port != self.ports[1] and not (self.listening and not self.open)):
            return False
        pseudo = to + source + struct.pack("!II", len(segment), 6)
        if not message[0] & 1:
            assert folded(pseudo + segment) == 0xFFFF
            assert len(segment) - (size >> 2) <= self.mss
        else:
            assert int.from_bytes(segment[16:18], "big") == folded(pseudo), "the pseudo header's sum is there"
        self._arrived(from_port, seq, ack, flags, window, segment[20 : size >> 2], segment[size >> 2 :])
        return True

    def _arrived(self, port: int, seq: int, ack: int, flags: int, window: int, options: bytes, payload: bytes) -> None:
        self.segments.append((flags, signed(seq - self.ack), window << self.peer_scale, len(payload)))
        if self.silent:
            return
        if flags & RST:
            self.reset = True
            return
        if self.reset:
            return
        if not self.open:
            self._shake(port, seq, ack, flags, window, options)
            return
        if flags & SYN:
            self.emit(self.nxt, ACK)
            return
        forward = signed(ack - self.una)
        assert forward <= self.nxt - self.una or self.nxt < self.limit + 1, "acknowledges what was never sent"
        if forward > 0:
            self.una += forward
            self.nxt = max(self.nxt, self.una)
            self.fin_acked = self.finished and self.una == self.limit + 1
        if forward >= 0:
            self.peer_window = window << self.peer_scale
        if payload or flags & FIN:
            self._data(signed(seq - self.ack), payload, bool(flags & FIN))
            self.emit(self.nxt, ACK)
        elif signed(seq - self.ack) < 0:
            self.emit(self.nxt, ACK)
        self.push()

    def _shake(self, port: int, seq: int, ack: int, flags: int, window: int, options: bytes) -> None:
        if self.listening and flags & SYN and not flags & ACK:
            self.ports = (self.ports[0], port)
            self.ack = seq + 1
            self._options(options)
            self.emit(self.base, SYN | ACK)
            self.una = self.nxt = self.base + 1
            self.open = True
        elif flags & SYN and flags & ACK and signed(ack - self.base - 1) == 0:
            self.ack = seq + 1
            self._options(options)
            self.peer_window = window
            self.una = self.nxt = self.base + 1
            self.open = True
            self.emit(self.nxt, ACK)
            self.push()

    def _options(self, options: bytes) -> None:
        at = 0
        while at < len(options) and options[at]:
            if options[at] == 1:
                at += 1
                continue
            if options[at] == 3:
                self.peer_scale = options[at + 2]
            at += options[at + 1]

    def _data(self, at: int, payload: bytes, fin: bool) -> None:
        if self.ended:
            return
        start = self.ack + at
        if payload:
            self.early[start] = max(payload, self.early.get(start, b""), key=len)
        if fin:
            self.dead_at = start + len(payload)
        moved = True
        while moved:
            moved = False
            for begin in sorted(self.early):
                if begin <= self.ack:
                    data = self.early.pop(begin)
                    fresh = data[self.ack - begin :]
                    self.got += fresh
                    self.ack += len(fresh)
                    moved = True
                    break
        if self.dead_at is not None and self.ack == self.dead_at:
            self.ack += 1
            self.ended = True

    def abort(self) -> None:
        self.emit(self.nxt, RST | ACK)
        self.reset = True
