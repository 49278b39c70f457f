"""Fragments put together again (RFC 791, 3.2; RFC 8200, 4.5), in bounded memory.

A datagram whose fragments overlap is dropped whole, as RFC 5722 asks for IPv6: nobody sends such in good faith.
"""

from __future__ import annotations

from collections import OrderedDict

from guesthouse.virtual.network.packets import Fragment, Packet

LIFETIME = 30.0
"""Seconds from the first fragment to the last."""

MOST_DATAGRAMS, MOST_FRAGMENTS, LARGEST = 64, 128, 0xFFFF


class _Partial:
    """What is there of one datagram."""

    __slots__ = ("begun", "first", "pieces", "size", "spoilt")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.pieces: dict[int, bytes] = {}
        self.size = -1
        self.first: Packet | None = None
        self.spoilt = False


class Reassembly:
    """The datagrams that lack fragments."""

    def __init__(self) -> None:
        self._partials: OrderedDict[tuple[bytes, bytes, int, int], _Partial] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many datagrams are not whole."""
        return len(self._partials)

    def add(self, fragment: Fragment, now: float) -> Packet | None:
        """The whole packet, once `fragment` was the last that lacked."""
        self._forget(now)
        partial = self._partials.get(fragment.key)
        if partial is None:
            if len(self._partials) >= MOST_DATAGRAMS:
                self._partials.popitem(last=False)
            partial = self._partials[fragment.key] = _Partial(now)
        if not partial.spoilt and not self._put(partial, fragment):
            partial.spoilt = True  # its other fragments, on their way still, are dropped too
            partial.pieces.clear()
            partial.first = None
        packet = self._whole(partial)
        if packet is not None:
            del self._partials[fragment.key]
        return packet

    def _forget(self, now: float) -> None:
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if partial.begun + LIFETIME > now:
                return
            del self._partials[key]

    def _put(self, partial: _Partial, fragment: Fragment) -> bool:
        """Whether the fragment fits in."""
        packet, start = fragment.packet, fragment.offset
        size = len(packet.payload)
        end = start + size
        if fragment.more and (size % 8 or not size):
            return False
        if end > LARGEST or len(partial.pieces) >= MOST_FRAGMENTS:
            return False
        if not fragment.more:
            if partial.size not in (-1, end):
                return False
            partial.size = end
        known = partial.pieces.get(start)
        if known is not None:
            return known == packet.payload  # sent twice
        if any(start < at + len(piece) and at < end for at, piece in partial.pieces.items()):
            return False
        partial.pieces[start] = bytes(packet.payload)
        if start == 0:
            partial.first = _copy(packet)
        return partial.size == -1 or max(at + len(piece) for at, piece in partial.pieces.items()) <= partial.size

    def _whole(self, partial: _Partial) -> Packet | None:
        if partial.size < 0 or partial.first is None or sum(map(len, partial.pieces.values())) != partial.size:
            return None
        packet = partial.first
        packet.payload = memoryview(b"".join(partial.pieces[at] for at in sorted(partial.pieces)))
        return packet


def _copy(packet: Packet) -> Packet:
    whole = memoryview(bytes(packet.whole[:128]))  # as much as an error about it quotes
    copy = Packet(
        packet.version, packet.source, packet.destination, packet.protocol, packet.hops, packet.payload, whole
    )
    copy.mac = packet.mac
    return copy
