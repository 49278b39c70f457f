"""The virtio network card (section 5.1).

A packet is a header of twelve bytes (section 5.1.6) and an Ethernet frame; both pass between the rings and the network
as they are, so that checksums and segmentation are left to whoever knows best. What the driver has not accepted is
finished here. Where the network takes no more, or the driver has given no room, packets wait, and nothing is lost here.

Not modelled: receive side scaling and hash reports, UDP segmentation, notification coalescing, standby.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import ClassVar

from guesthouse.virtual.devices.state import Register, State, Stateful
from guesthouse.virtual.devices.virtio.function import Function
from guesthouse.virtual.devices.virtio.net_filter import MAC_SIZE, MODES, VLAN_NUMBERS, ReceiveFilter
from guesthouse.virtual.devices.virtio.queue import Chain, RingError
from guesthouse.virtual.devices.wires import BadAddress, NetBackend
from guesthouse.virtual.network.segmentation import finish_checksum, segments

CSUM, GUEST_CSUM, CTRL_GUEST_OFFLOADS, MTU, MAC = 0, 1, 2, 3, 5
GUEST_TSO4, GUEST_TSO6, GUEST_ECN, HOST_TSO4, HOST_TSO6, HOST_ECN = 7, 8, 9, 11, 12, 13
MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_RX_EXTRA = 15, 16, 17, 18, 19, 20
GUEST_ANNOUNCE, MQ, CTRL_MAC_ADDR, SPEED_DUPLEX = 21, 22, 23, 63
GUEST_OFFLOADS = (GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN)
HOST_OFFLOADS = (CSUM, HOST_TSO4, HOST_TSO6, HOST_ECN)
ALWAYS = (MTU, MAC, MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_RX_EXTRA, GUEST_ANNOUNCE, CTRL_MAC_ADDR)

HEADER = struct.Struct("<BBHHHHH")
"""flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers."""
NUM_BUFFERS = 10
PLAIN, ONE = HEADER.pack(0, 0, 0, 0, 0, 0, 1), b"\1\0"
NEEDS_CSUM, ECN = 1, 0x80
GSO_NONE, GSO_TCPV4, GSO_TCPV6 = 0, 1, 4
LINK_UP, ANNOUNCE = 1, 2

CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ, CLASS_OFFLOADS = range(6)
OK, ERROR = 0, 1
LONGEST_COMMAND = 2 + 8 + 2 * MAC_SIZE * 1024

QUEUE_SIZE, CONTROL_SIZE = 256, 64
MOST_PAIRS = 8
LEAST_FRAME, LONGEST = 14, HEADER.size + 65550
SPEED, FULL_DUPLEX = 10_000, 1


class VirtioNet(Function):
    """A card with a pair of queues for each of `pairs` processors, at most 8; without `backend` its link is down."""

    address: bytes
    link: int
    current_pairs: int
    refused: int

    device_id: ClassVar[int] = 1

    def __init__(self, backend: NetBackend | None, pairs: int = 1) -> None:
        self.backend = backend
        self.pairs = max(1, min(pairs, MOST_PAIRS))
        self.queue_sizes = (QUEUE_SIZE,) * (2 * self.pairs) + (CONTROL_SIZE,)
        address = backend.mac if backend is not None else bytes(MAC_SIZE)
        bits = [*ALWAYS, MQ, SPEED_DUPLEX]
        if backend is not None and backend.offload:
            bits += [*GUEST_OFFLOADS, *HOST_OFFLOADS, CTRL_GUEST_OFFLOADS]
        self.features = sum(1 << bit for bit in bits)
        self.registers = (
            Register("mac", 0, 1, "the card's address", count=MAC_SIZE, stored=False),
            Register("link_status", 6, 2, "bit 0 the link is up, bit 1 the guest is to announce itself", stored=False),
            Register("max_pairs", 8, 2, "pairs of queues", reset=self.pairs),
            Register("mtu", 10, 2, "bytes of the largest packet", reset=backend.mtu if backend is not None else 1500),
            Register("speed", 12, 4, "Mbit/s", reset=SPEED),
            Register("duplex", 16, 1, "1: full", reset=FULL_DUPLEX),
        )
        self.state = (
            State("address", address, "the card's, its own or one that the driver has set"),
            State("link", LINK_UP if backend is not None and backend.up else 0, "the link's status", keep=True),
            State("current_pairs", 1, "pairs of queues that the driver uses"),
            State("refused", 0, "feature bits of what the driver has accepted, and does not want now"),
        )
        self.filter = ReceiveFilter()
        self._blocked: set[int] = set()
        """Queues with a packet to send that the network had no room for."""
        self.start()
        if backend is not None:
            backend.attach(self)

    def parts(self) -> dict[str, Stateful]:
        """What is taken in."""
        return {"filter": self.filter}

    def resume(self) -> None:
        """Forget what was being done before a reset or another state."""
        self._blocked.clear()
        if self.backend is None:
            self.link = 0

    def on_read_mac(self, index: int) -> int:
        """Answer a byte of the card's address."""
        return self.address[index]

    def on_read_link_status(self) -> int:
        """Answer the link's status."""
        return self.link

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out."""
        self.link = LINK_UP if up else 0
        self.transport.config_changed()

    def announce(self) -> None:
        """Have the guest tell the network where it is, as after it has moved."""
        if self.transport.accepted(GUEST_ANNOUNCE) and self.link:
            self.link |= ANNOUNCE
            self.transport.config_changed()

    @property
    def control(self) -> int:
        """The control queue's number (section 5.1.2)."""
        return 2 * self.pairs if self.transport.accepted(MQ) else 2

    def notify(self, queue: int) -> None:
        """Send what waits, take commands, or go on with what comes in."""
        if queue == self.control:
            self.transport.serve(queue, self._command)
        elif queue % 2:
            self.send(queue)
        elif self.backend is not None:
            self.backend.room()

    # --- sending ------------------------------------------------------------------------------------------------------

    def send_all(self) -> None:
        """Go on sending: the network has room again."""
        blocked, self._blocked = self._blocked, set()
        for queue in blocked:
            self.send(queue)

    def send(self, queue: int) -> None:
        """Send the packets waiting in a queue, as far as the network takes them."""
        self.transport.accept(queue, lambda chain: self._send(queue, chain), lambda: queue not in self._blocked)

    def _send(self, queue: int, chain: Chain) -> None:
        length = chain.to_read
        if not HEADER.size + LEAST_FRAME <= length <= LONGEST:
            raise RingError("a packet of an impossible length")
        memory = self.transport.memory
        head = chain.read(memory, 0, HEADER.size)
        wanted = self.backend is not None and self.link & LINK_UP and self._allowed(head, length)
        if wanted and self.backend is not None and not self.backend.send(chain.views(memory, 0, length)):
            self._blocked.add(queue)
            self.transport.untake(queue, chain)
        else:
            self.transport.give(queue, chain, 0)

    def _allowed(self, head: bytes, length: int) -> bool:
        """Whether a header asks only for what has been agreed on; other packets are dropped."""
        flags, kind, _, size, start, offset, _ = HEADER.unpack(head)
        accepted = self.transport.accepted
        if flags & NEEDS_CSUM and (not accepted(CSUM) or start + offset + 2 > length - HEADER.size):
            return False
        if kind == GSO_NONE:
            return True
        needed = {GSO_TCPV4: HOST_TSO4, GSO_TCPV6: HOST_TSO6}.get(kind & ~ECN)
        return needed is not None and accepted(needed) and bool(flags & NEEDS_CSUM) and size > 0

    # --- receiving ----------------------------------------------------------------------------------------------------

    def deliver(self, packet: memoryview) -> bool:
        """Take a packet of the network's; false where the driver has no room for it now. `settle` follows."""
        if len(packet) < HEADER.size + LEAST_FRAME or not self.link & LINK_UP:
            return True
        frame = packet[HEADER.size :]
        if not self.filter.wants(frame, self.address, self.transport.accepted(CTRL_VLAN)):
            return True
        pairs = self.current_pairs if self.transport.accepted(MQ) else 1
        queue = 2 * (zlib.crc32(frame[26:38]) % pairs) if pairs > 1 else 0
        try:
            for number, piece in enumerate(self._finished(packet)):
                if not self._put(queue, piece):
                    return number > 0  # of segments made here, what finds no room is lost, as on a wire
        except BadAddress:
            self.transport.break_off()
        return True

    def settle(self) -> None:
        """Tell the driver of what has been delivered."""
        for pair in range(self.pairs):
            self.transport.settle(2 * pair)

    def _finished(self, packet: memoryview) -> Iterator[Sequence[bytes | memoryview]]:
        """The packet as the driver takes it: in one, or with its segments and checksums made."""
        flags, kind, _, size, start, offset, _ = HEADER.unpack_from(packet)
        frame = packet[HEADER.size :]
        needed = {GSO_TCPV4: GUEST_TSO4, GSO_TCPV6: GUEST_TSO6}.get(kind & ~ECN)
        if needed is not None and not self._takes(needed):
            for segment in segments(frame, size, start):
                yield PLAIN, segment
        elif flags & NEEDS_CSUM and not self._takes(GUEST_CSUM):
            yield PLAIN, finish_checksum(frame, start, offset)
        else:
            yield packet[: HEADER.size], frame

    def _takes(self, offload: int) -> bool:
        return self.transport.accepted(offload) and not self.refused >> offload & 1

    def _put(self, queue: int, parts: Sequence[bytes | memoryview]) -> bool:
        """Write one packet into as many buffers as it takes; false, and nothing done, where there are too few."""
        length = sum(map(len, parts))
        merged = self.transport.accepted(MRG_RXBUF)
        chains: list[Chain] = []
        room = 0
        while room < length and (merged or not chains):
            chain = self.transport.take(queue)
            if chain is None:
                break
            chains.append(chain)
            room += chain.to_write
        if room < length:
            for chain in reversed(chains):
                self.transport.untake(queue, chain)
            return bool(chains) and not merged  # a buffer that is too small for a packet loses it
        self._fill(queue, chains, b"".join(parts) if len(chains) > 1 else parts)
        return True

    def _fill(self, queue: int, chains: list[Chain], data: bytes | Sequence[bytes | memoryview]) -> None:
        memory = self.transport.memory
        pieces = [data] if isinstance(data, bytes) else data
        if len(chains) == 1:
            place = 0
            for piece in pieces:
                chains[0].write(memory, place, piece)
                place += len(piece)
            chains[0].write(memory, NUM_BUFFERS, ONE)
            self.transport.give(queue, chains[0], place)
            return
        whole = memoryview(bytearray(pieces[0]))
        whole[NUM_BUFFERS : NUM_BUFFERS + 2] = len(chains).to_bytes(2, "little")
        place = 0
        for chain in chains:
            count = min(chain.to_write, len(whole) - place)
            chain.write(memory, 0, whole[place : place + count])
            self.transport.give(queue, chain, count)
            place += count

    # --- the control queue (section 5.1.6.5) --------------------------------------------------------------------------

    def _command(self, chain: Chain) -> int:
        if not 2 <= chain.to_read <= LONGEST_COMMAND or chain.to_write < 1:
            raise RingError("a command of an impossible length")
        data = chain.read(self.transport.memory, 0, chain.to_read)
        done = self._do(data[0], data[1], data[2:])
        chain.write(self.transport.memory, 0, bytes((OK if done else ERROR,)))
        return 1

    def _do(self, group: int, command: int, data: bytes) -> bool:
        """Carry a command out; false where it is none, or malformed."""
        if group == CLASS_RX and command < len(MODES) and len(data) == 1:
            self.filter.set_mode(command, bool(data[0]))
        elif group == CLASS_MAC and command == 0:
            return self._set_addresses(data)
        elif group == CLASS_MAC and command == 1 and len(data) == MAC_SIZE:
            self.address = data
        elif group == CLASS_VLAN and command < 2 and len(data) == 2:
            self.filter.set_vlan(int.from_bytes(data, "little") % VLAN_NUMBERS, command == 0)
        elif group == CLASS_ANNOUNCE and command == 0:
            self.link &= ~ANNOUNCE
        elif group == CLASS_MQ and command == 0 and len(data) == 2:
            pairs = int.from_bytes(data, "little")
            if not 1 <= pairs <= self.pairs:
                return False
            self.current_pairs = pairs
        elif group == CLASS_OFFLOADS and command == 0 and len(data) == 8:
            self.refused = ~int.from_bytes(data, "little") & sum(1 << bit for bit in GUEST_OFFLOADS)
        else:
            return False
        return True

    def _set_addresses(self, data: bytes) -> bool:
        """Two tables, each with the number of its addresses before it."""
        tables: list[list[bytes]] = []
        for _ in range(2):
            count, rest = int.from_bytes(data[:4], "little"), data[4:]
            if len(data) < 4 or count * MAC_SIZE > len(rest):
                return False
            tables.append([rest[at : at + MAC_SIZE] for at in range(0, count * MAC_SIZE, MAC_SIZE)])
            data = rest[count * MAC_SIZE :]
        self.filter.set_addresses(*tables)
        return True
