"""One connection between the guest and the host: what either side may still send, and what waits for the host."""

from __future__ import annotations

import enum

from guesthouse.virtual.sockets.packets import BUFFER, NO_RECEIVE, NO_SEND, Header

COUNT = 0xFFFF_FFFF
"""Counts of bytes are modulo 2**32."""


class State(enum.Enum):
    """How far a connection has come."""

    ASKED = "the host has asked, and the guest has not answered"
    OPEN = "both sides may send"
    GONE = "the guest knows of it no more; the host still gets what is in `received`"


class Connection:
    """A stream between a port of the guest's and one of the host's; `Exchange` changes it."""

    def __init__(self, guest_port: int, host_port: int, state: State) -> None:
        self.guest_port = guest_port
        self.host_port = host_port
        self.state = state
        self.received = bytearray()
        """What the guest has sent and the host has not taken: at most BUFFER bytes."""
        self.guest_flags = self.host_flags = 0
        """What either side does no more: NO_RECEIVE, NO_SEND."""
        self._forwarded = self._told = 0
        self._sent = self._guest_forwarded = self._guest_buffer = 0

    @property
    def room(self) -> int:
        """Bytes that the guest takes now."""
        if self.state is not State.OPEN or self.guest_flags & NO_RECEIVE or self.host_flags & NO_SEND:
            return 0
        return max(0, self._guest_buffer - (self._sent - self._guest_forwarded & COUNT))

    @property
    def guest_sends(self) -> bool:
        """Whether more may come from the guest."""
        return self.state is not State.GONE and not self.guest_flags & NO_SEND

    def header(self, operation: int, length: int = 0, flags: int = 0) -> Header:
        """Of a packet to the guest, which tells it how much it may send."""
        self._told = self._forwarded
        self._sent = self._sent + length & COUNT
        return Header(
            source_port=self.host_port,
            destination_port=self.guest_port,
            length=length,
            operation=operation,
            flags=flags,
            buffer=BUFFER,
            forwarded=self._forwarded,
        )

    def note_credit(self, header: Header) -> bool:
        """Hear from a packet how much the guest takes; tells whether that is more than it was."""
        before = self.room
        self._guest_buffer, self._guest_forwarded = header.buffer, header.forwarded
        return self.room > before

    def take(self, data: memoryview | bytes) -> bool:
        """Take bytes of the guest's; False for more than it was allowed."""
        if len(self.received) + len(data) > BUFFER:
            return False
        if self.host_flags & NO_RECEIVE:
            self._forwarded = self._forwarded + len(data) & COUNT
        else:
            self.received += data
        return True

    def forward(self, count: int) -> None:
        """The host has taken the first bytes of `received`."""
        del self.received[:count]
        self._forwarded = self._forwarded + count & COUNT

    @property
    def credit_due(self) -> bool:
        """Whether the guest should hear that it may send more: half of what it knows of is used up."""
        return self.guest_sends and (self._forwarded - self._told & COUNT) >= BUFFER // 2
