"""The core-local interruptor: per hart a software interrupt and a timer compare, and the time they share.

Source: RISC-V ACLINT specification 1.0, chapters 2 (MTIMER) and 3 (MSWI), in the layout of SiFive's CLINT.

Not modelled: writing mtime (ignored; the clock belongs to the machine), and SSWI (SBI and Sstc serve supervisors).
"""

from collections.abc import Sequence

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register
from guesthouse.virtual.devices.wires import HartTimer

MAX_HARTS = 4095


class Clint(Device):
    """Raises machine software and timer interrupts of the harts it is wired to."""

    msip: list[int]

    def __init__(self, harts: Sequence[HartTimer]) -> None:
        self.harts = tuple(harts)
        count = len(self.harts)
        self.registers = (
            Register("msip", 0x0, count=count, writable=1, doc="bit 0 is the hart's machine software interrupt"),
            Register(
                "mtimecmp", 0x4000, 8, count=count, writable=(1 << 64) - 1, stored=False,
                doc="the hart's timer interrupt is up while mtime is at or past this; kept in the hart",
            ),
            Register("mtime", 0xBFF8, 8, stored=False, doc="ticks of the board's time base", effects=True),
        )  # fmt: skip
        self.start()

    def on_write_msip(self, index: int, value: int) -> None:
        """Drive the hart's software interrupt."""
        self.msip[index] = value
        self.harts[index].software(bool(value))

    def on_read_mtimecmp(self, index: int) -> int:
        """Answer the hart's compare value."""
        return self.harts[index].compare

    def on_write_mtimecmp(self, index: int, value: int) -> None:
        """Hand the compare value to the hart."""
        self.harts[index].compare = value

    def on_read_mtime(self) -> int:
        """Answer the time as the first hart has it; all harts share it."""
        return self.harts[0].time() if self.harts else 0

    def resume(self) -> None:
        """Drive the software interrupts as the registers say."""
        for hart, level in zip(self.harts, self.msip, strict=True):
            hart.software(bool(level))
