"""The platform-level interrupt controller: brings device interrupts to harts by priority.

Source: RISC-V Platform-Level Interrupt Controller specification 1.0.0. Gateways are level-triggered: a source that has
been claimed is heard again after its completion, and a request stays pending even if its line falls. A claim does not
look at the threshold (chapter 9); of equal priorities the lowest number wins.

Not modelled: edge-triggered gateways.
"""

from collections.abc import Sequence

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, State
from guesthouse.virtual.devices.wires import Irq

SOURCES = 96
"""Interrupt numbers 0 to 95, of which 0 means none."""
PRIORITY_MASK = 7
WORD = 0xFFFF_FFFF


class Plic(Device):
    """Routes `SOURCES` lines to one output a context; context 2h is hart h's machine mode, 2h+1 its supervisor mode."""

    priority: list[int]
    pending: list[int]
    enable: list[int]
    threshold: list[int]
    level: list[int]
    claimed: list[int]

    def __init__(self, contexts: Sequence[Irq], sources: int = SOURCES) -> None:
        self.contexts = tuple(contexts)
        self.sources = sources
        self.words = (sources + 31) // 32
        count = len(self.contexts)
        self.registers = (
            Register("priority", 0x0, count=sources, writable=PRIORITY_MASK, doc="0 keeps the source silent"),
            Register("pending", 0x1000, count=self.words, doc="a bit a source"),
            Register(
                "enable", 0x2000, count=self.words, rows=count, row_stride=0x80, writable=WORD,
                doc="which sources a context hears, a bit a source",
            ),
            Register(
                "threshold", 0x20_0000, count=count, stride=0x1000, writable=PRIORITY_MASK,
                doc="a context is interrupted only by priorities above this",
            ),
            Register(
                "claim", 0x20_0004, count=count, stride=0x1000, writable=WORD, stored=False, effects=True,
                doc="reading claims the most urgent source, writing a source's number completes it",
            ),
        )  # fmt: skip
        self.state = (
            State("level", [0] * self.words, "how the sources' lines stand"),
            State("claimed", [0] * self.words, "sources between claim and completion"),
        )
        self.start()

    def set_source(self, source: int, level: bool) -> None:
        """Drive the line of an interrupt source (1 to `sources` - 1)."""
        word, bit = source >> 5, 1 << (source & 31)
        if bool(self.level[word] & bit) == level:
            return
        self.level[word] ^= bit
        if level and not self.claimed[word] & bit and not self.pending[word] & bit:
            self.pending[word] |= bit
            self.resume()

    def _best(self, context: int) -> tuple[int, int]:
        """Return priority and number of the most urgent source a context hears, or zeros."""
        best_priority = best = 0
        for word in range(self.words):
            bits = self.pending[word] & self.enable[context * self.words + word]
            while bits:
                low = bits & -bits
                source = word * 32 + low.bit_length() - 1
                if self.priority[source] > best_priority:
                    best_priority, best = self.priority[source], source
                bits ^= low
        return best_priority, best

    def on_write_priority(self, index: int, value: int) -> None:
        """Set a source's priority; source 0 has none."""
        self.priority[index] = value if index else 0
        self.resume()

    def on_write_enable(self, index: int, value: int) -> None:
        """Choose what a context hears; bits without a source stay zero."""
        word = index % self.words
        exists = (1 << min(32, self.sources - word * 32)) - 1
        self.enable[index] = value & (exists & ~1 if word == 0 else exists)
        self.resume()

    def on_write_threshold(self, index: int, value: int) -> None:
        """Set a context's threshold."""
        self.threshold[index] = value
        self.resume()

    def on_read_claim(self, index: int) -> int:
        """Claim the most urgent source."""
        _, source = self._best(index)
        if source:
            word, bit = source >> 5, 1 << (source & 31)
            self.pending[word] &= ~bit
            self.claimed[word] |= bit
            self.resume()
        return source

    def on_write_claim(self, index: int, value: int) -> None:
        """Complete a source; ignored where the context does not hear that source."""
        word, bit = value >> 5, 1 << (value & 31)
        if not 0 < value < self.sources or not self.enable[index * self.words + word] & bit:
            return
        self.claimed[word] &= ~bit
        if self.level[word] & bit:
            self.pending[word] |= bit
        self.resume()

    def resume(self) -> None:
        """Drive every context's output."""
        for context, output in enumerate(self.contexts):
            output.set(self._best(context)[0] > self.threshold[context])


class PlicSource:
    """The `Irq` wire into one source of a PLIC."""

    def __init__(self, plic: Plic, source: int) -> None:
        self.plic = plic
        self.source = source

    def set(self, level: bool) -> None:
        """Drive the source's line."""
        self.plic.set_source(self.source, bool(level))
