"""What a network card takes in: unicast, multicast and broadcast addresses, and VLANs (section 5.1.6.5)."""

from guesthouse.virtual.devices.state import State, Stateful

MAC_SIZE = 6
MOST_ADDRESSES = 256
"""In each half of the address table; with more, all addresses of that kind are taken."""
BROADCAST = b"\xff" * MAC_SIZE
VLAN_TAG = b"\x81\x00"
VLAN_NUMBERS = 4096

MODES = ("promiscuous", "all_multicast", "all_unicast", "no_multicast", "no_unicast", "no_broadcast")
"""In the order of the commands of class VIRTIO_NET_CTRL_RX."""


class ReceiveFilter(Stateful):
    """The receive modes and tables that the driver sets through the control queue."""

    promiscuous: bool
    all_multicast: bool
    all_unicast: bool
    no_multicast: bool
    no_unicast: bool
    no_broadcast: bool
    unicast: list[bytes]
    multicast: list[bytes]
    vlans: bytearray

    state = (
        State("promiscuous", True, "takes everything; so until the driver says otherwise"),
        State("all_multicast", False, "takes all multicast"),
        State("all_unicast", False, "takes all unicast"),
        State("no_multicast", False, "takes no multicast"),
        State("no_unicast", False, "takes no unicast"),
        State("no_broadcast", False, "takes no broadcast"),
        State("unicast", [], "further addresses of its own"),
        State("multicast", [], "groups it is in"),
        State("vlans", bytearray(VLAN_NUMBERS // 8), "VLANs it is in, a bit each"),
    )

    def __init__(self) -> None:
        self.start()

    def set_mode(self, number: int, on: bool) -> None:
        """Set the mode of that number in `MODES`."""
        setattr(self, MODES[number], on)

    def set_addresses(self, unicast: list[bytes], multicast: list[bytes]) -> None:
        """Replace both tables; one that is too long stands for all addresses of its kind."""
        self.all_unicast = len(unicast) > MOST_ADDRESSES
        self.all_multicast = len(multicast) > MOST_ADDRESSES
        self.unicast, self.multicast = unicast[:MOST_ADDRESSES], multicast[:MOST_ADDRESSES]

    def set_vlan(self, number: int, member: bool) -> None:
        """Join or leave a VLAN."""
        bit = 1 << number % 8
        self.vlans[number // 8] = self.vlans[number // 8] & ~bit | (bit if member else 0)

    def wants(self, frame: memoryview, own: bytes, vlans: bool) -> bool:
        """Whether a frame is for a card with the address `own`; `vlans`: VLANs are told apart."""
        if vlans and frame[12:14] == VLAN_TAG:
            number = (frame[14] << 8 | frame[15]) % VLAN_NUMBERS
            if not self.vlans[number // 8] >> number % 8 & 1:
                return False
        if self.promiscuous:
            return True
        to = bytes(frame[:MAC_SIZE])
        if to == BROADCAST:
            return not self.no_broadcast
        if to[0] & 1:
            return not self.no_multicast and (self.all_multicast or to in self.multicast)
        return not self.no_unicast and (self.all_unicast or to == own or to in self.unicast)
