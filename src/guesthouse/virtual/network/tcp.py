"""One TCP connection: towards the guest our own, complete TCP (RFC 9293), towards the host a stream.

The guest's connection is answered once the host's is made, and refused as that was. Each direction ends by itself.
"""

from __future__ import annotations

from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.outside import Broken, Problem, Stream
from guesthouse.virtual.network.tcp_phases import Owner, Phase
from guesthouse.virtual.network.tcp_receive import Receiver
from guesthouse.virtual.network.tcp_send import Sender
from guesthouse.virtual.network.tcp_wire import ACK, FIN, LARGEST, PSH, RST, SYN, Wire, distance, options_for
from guesthouse.virtual.network.timers import NEVER

SCALE = 7
"""Our windows are told in units of 128 bytes."""

FIRST_WINDOW = 0xFFFF
HANDSHAKE_TRIES = 6
TIME_WAIT = 10.0
"""Seconds that an ended connection is remembered: the link to the guest is short."""

IDLE, KEEPALIVE_EVERY, KEEPALIVES = 7200.0, 75.0, 9


class Connection:
    """A connection between the guest and a stream of the host."""

    def __init__(self, owner: Owner, wire: Wire, key: tuple[bytes, int, bytes, int], mss: int, isn: int) -> None:
        self._owner = owner
        self._wire = wire
        self.key = key
        """Guest's address and port, and the other's, as the guest sees them."""
        self.phase = Phase.CONNECTING
        self.stream: Stream | None = None
        self.quoted = b""
        """The packet that asked for the connection, for an error that quotes it."""
        self._mss = mss
        self._isn = isn
        self._frame = 0
        self._scale: int | None = SCALE
        self._guest_scale = 0
        self.sender = Sender(owner.budget, isn + 1, self._send_data)
        self.receiver = Receiver(owner.budget, 0, 0, self._put)
        self._ack_owed = False
        self._host_ended = False
        self._stream_finished = False
        self._readable = False
        self._edge_told = 0
        self._guest_ended_first = False
        self._updated = 0
        self._tries = 0
        self._heard = owner.timers.now
        self._timer = owner.timers.timer(self._expired)

    # --- the handshake ------------------------------------------------------------------------------------------------

    def asked(self, seq: int, mss: int | None, scale: int | None, window: int) -> None:
        """The guest's SYN: the host's side is to be made."""
        self._agree(mss, scale)
        self._begin_receiving(seq)
        self.sender.set_window(window)

    def ask(self) -> None:
        """Send the guest a SYN: the host's side is there already."""
        self.phase = Phase.SYN_SENT
        self._shake(SYN)

    def _agree(self, mss: int | None, scale: int | None) -> None:
        self._wire.limit(max(64, min(self._mss, mss or 536)))
        self.sender.mss, self.sender.largest = self._wire.mss, self._wire.largest
        self._frame = LARGEST // self._wire.mss * self._wire.mss
        self._guest_scale = scale or 0
        if scale is None:
            self._scale = None

    def _begin_receiving(self, seq: int) -> None:
        self.receiver = Receiver(self._owner.budget, seq + 1, FIRST_WINDOW, self._put)
        self._updated = seq

    def _shake(self, flags: int) -> None:
        scale = self._scale
        options = options_for(self._mss, scale)
        now = self._owner.timers.now
        self._wire.send(now, self._isn, self.receiver.next if flags & ACK else 0, flags, FIRST_WINDOW, b"", options)
        self._tries += 1
        self._timer.set(now + min(32.0, 0.5 * 2**self._tries))

    def _open(self) -> None:
        self.phase = Phase.OPEN
        self.quoted = b""
        self._tries = 0
        self._owner.opened(self)
        self._timer.set(self._owner.timers.now + 60.0)
        self._pull()

    # --- the host's side ----------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """The host's stream is there: answer the guest."""
        if self.phase is Phase.CONNECTING:
            self.phase = Phase.SYN_RECEIVED
            self._shake(SYN | ACK)

    def failed(self, problem: Problem) -> None:
        """The host's stream came to nothing, or was broken off."""
        if self.phase is Phase.CONNECTING:
            self._owner.refused(self, problem)
            self._end(reset=False)
        elif self.phase is not Phase.CLOSED and self.phase is not Phase.TIME_WAIT:
            self.abort()

    def readable(self) -> None:
        """There is something to receive."""
        self._readable = True
        if self.phase is Phase.OPEN:
            self._pull()
            self._settle()

    def writable(self) -> None:
        """There is room again for what the guest sent."""
        if self.phase is Phase.OPEN and self.receiver.drain():
            self.receiver.window()
            if self.receiver.edge > self._edge_told:
                self._owe_ack()
            self._settle()

    def _put(self, data: Buffer) -> int:
        if self.stream is None:
            return len(data)
        try:
            return self.stream.send(data)
        except Broken:
            self._host_broke()
            return len(data)

    def _pull(self) -> None:
        """Take from the host what the guest has room for, and send it."""
        sender = self.sender
        stream = self.stream
        while self._readable and not self._host_ended and stream is not None and not sender.blocked:
            room = sender.room()
            if not room:
                break
            try:
                data = stream.receive(min(room, self._frame))
            except Broken:
                self._host_broke()
                return
            if data is None:
                self._readable = False
                break
            if data:
                sender.add(data)
            else:
                self._host_ended = True
                sender.finish()
                self._guest_ended_first = self.receiver.ended
            sender.transmit(self._owner.timers.now)
        self._schedule()

    def _host_broke(self) -> None:
        """To be noticed at the end of the turn: callers are in the middle of something."""
        if self.stream is not None:
            self.stream.reset()
            self.stream = None
        self._owe_ack()

    # --- segments of the guest ----------------------------------------------------------------------------------------

    def arrived(
        self, seq: int, ack: int, flags: int, window: int, payload: memoryview, mss: int | None, scale: int | None
    ) -> None:
        """A segment of the guest; options only where it has SYN."""
        self._heard = self._owner.timers.now
        if self.phase is Phase.OPEN:
            self._arrived_open(seq, ack, flags, window, payload)
        elif self.phase is Phase.SYN_SENT:
            self._arrived_asked(seq, ack, flags, window, mss, scale)
        elif self.phase is Phase.CONNECTING:
            if flags & RST and distance(seq, self.receiver.next) == 0:
                self._end(reset=True)
        elif self.phase is Phase.SYN_RECEIVED:
            self._arrived_answered(seq, ack, flags, window, payload)
        elif self.phase is Phase.TIME_WAIT and not flags & RST:
            self._timer.set(self._owner.timers.now + TIME_WAIT)
            self._owe_ack()

    def _arrived_asked(self, seq: int, ack: int, flags: int, window: int, mss: int | None, scale: int | None) -> None:
        right = bool(flags & ACK) and distance(ack, self._isn + 1) == 0
        if flags & RST:
            if right:
                self._end(reset=True)
        elif flags & ACK and not right:
            self._wire.send(self._owner.timers.now, ack, 0, RST, 0)
        elif flags & SYN and flags & ACK:
            self._agree(mss, scale)
            self._begin_receiving(seq)
            self.sender.set_window(window)
            self._owe_ack()
            self._open()

    def _arrived_answered(self, seq: int, ack: int, flags: int, window: int, payload: memoryview) -> None:
        at = distance(seq, self.receiver.next)
        if flags & RST:
            if at == 0:
                self._end(reset=True)
        elif flags & SYN:
            if at == -1:
                self._shake(SYN | ACK)  # it has not heard the answer
        elif flags & ACK and distance(ack, self._isn + 1) == 0:
            self.sender.set_window(window << self._guest_scale)
            self._open()
            self._arrived_open(seq, ack, flags, window, payload)
        elif flags & ACK:
            self._wire.send(self._owner.timers.now, ack, 0, RST, 0)

    def _arrived_open(self, seq: int, ack: int, flags: int, window: int, payload: memoryview) -> None:
        receiver = self.receiver
        at = distance(seq, receiver.next)
        size = len(payload)
        allowed = receiver.edge - receiver.next
        if flags & (RST | SYN):
            if flags & RST and at == 0:
                self._end(reset=True)
            elif -1 <= at <= allowed:
                self._owe_ack()  # a challenge: RFC 5961, 3 and 4
            return
        if not flags & ACK:
            return
        if at > max(allowed, 0) or at + size < 0:
            self._owe_ack()
            if at > max(allowed, 0) or at < -1:
                return
        if not self._acknowledge(receiver.next + at, ack, window << self._guest_scale, not size and not flags & FIN):
            return
        if size or flags & FIN:
            receiver.take(at, payload, bool(flags & FIN))
            self._owe_ack()
        elif at < 0:
            self._owe_ack()  # a keepalive, or a probe of our window
        self._pull()
        self._settle()

    def _acknowledge(self, seq: int, ack: int, window: int, bare: bool) -> bool:
        """What a segment says of our data; False where it acknowledges what was never sent."""
        sender = self.sender
        forward = distance(ack, sender.una)
        if forward > sender.highest - sender.una:
            self._owe_ack()
            return False
        sender.tries = 0 if sender.probing else sender.tries
        if forward < 0:
            return True
        changed = window != sender.window
        fresh = sender.acknowledged(sender.una + forward, bare and not changed, self._owner.timers.now)
        if fresh or seq >= self._updated:
            self._updated = max(seq, self._updated)
            sender.set_window(window)
        if fresh or changed or sender.blocked:
            sender.transmit(self._owner.timers.now)
        return True

    # --- what goes to the guest ---------------------------------------------------------------------------------------

    def _window(self) -> int:
        window = self.receiver.window()
        return min(window, 0xFFFF << (self._scale or 0))

    def _send_data(self, seq: int, payload: Buffer, fin: bool) -> bool:
        window = self._window()
        flags = ACK | (FIN if fin else 0) | (PSH if len(payload) else 0)
        told = window >> (self._scale or 0)
        if not self._wire.send(self._owner.timers.now, seq, self.receiver.next, flags, told, payload):
            self._owner.owe(self)
            return False
        self._edge_told = self.receiver.edge
        self._ack_owed = False
        return True

    def _owe_ack(self) -> None:
        self._ack_owed = True
        self._owner.owe(self)

    def flush(self) -> bool:
        """The end of a turn: say what is owed; False where the link had no room."""
        if self.phase is Phase.CLOSED:
            return True
        if self.stream is None and self.phase is Phase.OPEN and not self._over():
            self.abort()
            return True
        if self.sender.blocked:
            self.sender.transmit(self._owner.timers.now)
            self._pull()
        if self._ack_owed:
            self._ack_owed = not self._bare(self.sender.highest)
        return not self._ack_owed and not self.sender.blocked

    def _bare(self, seq: int) -> bool:
        window = self._window()
        told = window >> (self._scale or 0)
        if not self._wire.send(self._owner.timers.now, seq, self.receiver.next, ACK, told):
            return False
        self._edge_told = self.receiver.edge
        return True

    # --- time, and the end --------------------------------------------------------------------------------------------

    def _over(self) -> bool:
        """Whether both sides have ended, and both know it."""
        return self.receiver.ended and not self.receiver.waiting and self.sender.done

    def _settle(self) -> None:
        """After anything has changed: pass the guest's end on, and see whether it is over."""
        receiver = self.receiver
        if receiver.ended and not receiver.waiting and not self._stream_finished and self.stream is not None:
            self._stream_finished = True
            self.stream.finish()
        if self.phase is Phase.OPEN and self._over():
            self._part()
        else:
            self._schedule()

    def _part(self) -> None:
        """Let go of the host's side, and remember the connection in case our last segment is lost."""
        if self._guest_ended_first:
            self._end(reset=False)  # it is the guest that remembers
            return
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        self.phase = Phase.TIME_WAIT
        self.receiver.drop()
        self._timer.set(self._owner.timers.now + TIME_WAIT)
        self._owner.waits(self)

    def _schedule(self) -> None:
        if self.phase is Phase.OPEN:
            due = self.sender.due
            self._timer.set(due if due < NEVER else self._owner.timers.now + 60.0)

    def _expired(self) -> None:
        now = self._owner.timers.now
        if self.phase is Phase.OPEN:
            self._expired_open(now)
        elif self.phase is Phase.TIME_WAIT:
            self._end(reset=False)
        elif self._tries > HANDSHAKE_TRIES:
            self._end(reset=True)
        else:
            self._shake(SYN if self.phase is Phase.SYN_SENT else SYN | ACK)

    def _expired_open(self, now: float) -> None:
        sender = self.sender
        if sender.due <= now:
            alive = True
            if sender.probing:
                sender.tries += 1
                self._bare(sender.una - 1)
                sender.probe(now)
                alive = sender.tries <= 2 * HANDSHAKE_TRIES
            else:
                alive = sender.expired(now)
            if not alive:
                self.abort()
                return
        elif now - self._heard > IDLE + KEEPALIVES * KEEPALIVE_EVERY:
            self.abort()
            return
        elif now - self._heard > IDLE:
            self._bare(sender.una - 1)
        self._schedule()

    def abort(self) -> None:
        """Reset both sides."""
        if self.phase in (Phase.OPEN, Phase.SYN_RECEIVED, Phase.SYN_SENT):
            self._wire.send(self._owner.timers.now, self.sender.highest, self.receiver.next, RST | ACK, 0)
        self._end(reset=True)

    def _end(self, reset: bool) -> None:
        if self.phase is Phase.CLOSED:
            return
        self.phase = Phase.CLOSED
        self._timer.drop()
        self.sender.drop()
        self.receiver.drop()
        if self.stream is not None:
            if reset:
                self.stream.reset()
            else:
                self.stream.close()
            self.stream = None
        self._owner.gone(self)
