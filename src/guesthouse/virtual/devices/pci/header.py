"""The type 0 configuration header: what a function is, where its registers lie, and what it may do (chapter 6).

A function has at most one BAR, of 64-bit memory. Not modelled: I/O and 32-bit BARs, expansion ROMs, power management,
errors (parity and SERR# can be enabled and nothing reports any), MSI.
"""

from collections.abc import Callable

import msgspec

from guesthouse.virtual.devices.state import Register, Stateful
from guesthouse.virtual.devices.wires import Irq

SIZE = 0x1000
"""Bytes of configuration space that a function has; all of it that is not declared reads as zero."""
FIRST_CAPABILITY = 0x40

MEMORY, MASTER, PARITY, SERR, INTX_DISABLE = 1 << 1, 1 << 2, 1 << 6, 1 << 8, 1 << 10
INTERRUPT_STATUS, CAPABILITIES_LIST = 1 << 3, 1 << 4
MEMORY_64 = 4
"""The low bits of a BAR: memory, 64-bit, not prefetchable."""
WORD = 0xFFFF_FFFF
BARS = 6


class Identity(msgspec.Struct, frozen=True):
    """What a function is; `class_code` is base class, subclass and interface, a byte each."""

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem_vendor: int = 0
    subsystem: int = 0
    capabilities: bool = False
    """Whether a list of capabilities begins at `FIRST_CAPABILITY`."""
    interrupts: bool = False
    """Whether it uses the pin INTA#."""


def nothing() -> None:
    """Nobody wants to know."""


class Header(Stateful):
    """Configuration space of a function, and its end of INTA#.

    `bar_size` is in bytes, a power of two from 16 on, or 0. `moved` is called when the function answers somewhere else,
    or not any more, and after a reset or load; `mastered` when it may use memory, or not any more. `capabilities` are
    registers of theirs.
    """

    command: int
    bars: list[int]

    def __init__(
        self, irq: Irq, identity: Identity, bar_size: int = 0, capabilities: tuple[Register, ...] = ()
    ) -> None:
        self.irq = irq
        self.bar_size = bar_size
        self.listed = identity.capabilities
        self.moved: Callable[[], None] = nothing
        self.mastered: Callable[[], None] = nothing
        self.level = False
        """Whether the function asks for an interrupt; whoever drives it does so again after a reset or load."""
        code = identity.class_code
        self.registers = (
            Register("vendor", 0x00, 2, "vendor", reset=identity.vendor),
            Register("device_number", 0x02, 2, "the vendor's number of the device", reset=identity.device),
            Register(
                "command", 0x04, 2, writable=MEMORY | MASTER | PARITY | SERR | INTX_DISABLE,
                doc="bit 1 the BAR answers, bit 2 the function may use memory, bit 10 INTA# is off",
            ),
            Register("pci_status", 0x06, 2, "bit 3 an interrupt is wanted, bit 4 there are capabilities", stored=False),
            Register("revision", 0x08, 1, "revision", reset=identity.revision),
            Register("interface", 0x09, 1, "class code: interface", reset=code & 0xFF),
            Register("subclass", 0x0A, 1, "class code: subclass", reset=code >> 8 & 0xFF),
            Register("base_class", 0x0B, 1, "class code: base class", reset=code >> 16),
            Register("cache_line", 0x0C, 1, "of no effect", writable=0xFF),
            Register("latency", 0x0D, 1, "0"),
            Register("header_type", 0x0E, 1, "0: this layout, one function"),
            Register("bars", 0x10, count=BARS, writable=WORD, doc="where its registers lie, lower half first"),
            Register("subsystem_vendor", 0x2C, 2, "vendor of the board", reset=identity.subsystem_vendor),
            Register("subsystem", 0x2E, 2, "that vendor's number", reset=identity.subsystem),
            Register(
                "capabilities", 0x34, 1, "where the list of capabilities begins",
                reset=FIRST_CAPABILITY if identity.capabilities else 0,
            ),
            Register("interrupt_line", 0x3C, 1, "for software alone", writable=0xFF),
            Register("interrupt_pin", 0x3D, 1, "1: INTA#", reset=int(identity.interrupts)),
            *capabilities,
        )  # fmt: skip
        self.start()

    @property
    def master(self) -> bool:
        """Whether the function may use memory."""
        return bool(self.command & MASTER)

    @property
    def claim(self) -> tuple[int, int] | None:
        """The addresses (first, size) at which the function answers now."""
        if not self.bar_size or not self.command & MEMORY:
            return None
        return self.bars[0] | self.bars[1] << 32, self.bar_size

    def set(self, level: bool) -> None:
        """Ask for an interrupt, or no longer."""
        self.level = level
        self.irq.set(level and not self.command & INTX_DISABLE)

    def resume(self) -> None:
        """Drive the line, and have the bridge look again where the function answers."""
        self.set(self.level)
        self.moved()

    def on_read_pci_status(self) -> int:
        """Answer the pending interrupt, masked or not."""
        return (CAPABILITIES_LIST if self.listed else 0) | (INTERRUPT_STATUS if self.level else 0)

    def on_write_command(self, value: int) -> None:
        """Let the function answer, use memory, interrupt, or not."""
        changed, self.command = self.command ^ value, value
        self.set(self.level)
        if changed & MEMORY:
            self.moved()
        if changed & MASTER:
            self.mastered()

    def on_read_bars(self, index: int) -> int:
        """Answer half of the BAR."""
        return self.bars[index] | (MEMORY_64 if index == 0 and self.bar_size else 0)

    def on_write_bars(self, index: int, value: int) -> None:
        """Move the function's registers; bits below the BAR's size stay zero, which tells the size."""
        if not self.bar_size or index > 1:
            return
        self.bars[index] = value & ~(self.bar_size - 1) >> 32 * index & WORD
        if self.command & MEMORY:
            self.moved()
