"""The harts of a machine as a call of the firmware's reaches them: interrupts, fences, starting and stopping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guesthouse.virtual.isa.riscv64.interrupts import pending_interrupts
from guesthouse.virtual.isa.riscv64.trap import start_monitored
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.machine.reset import reset_state

A0, A1 = 10, 11
EVERYTHING = 1 << 52


class Harts:
    """All processors, by number. Every method is called by a thread that has the machine for itself."""

    def __init__(self, cpus: Sequence[Cpu]) -> None:
        self._cpus = cpus

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._cpus)

    def interrupt(self, number: int) -> None:
        """Raise the supervisor software interrupt of another hart."""
        self._cpus[number].interrupt()

    def fence_code(self, numbers: Iterable[int]) -> None:
        """Have harts execute FENCE.I; they have when `Engine.fences` has been waited for, as far as shows."""
        self._cpus[0].engine.fence_code(numbers)

    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None:
        """Have harts execute SFENCE.VMA for each page, likewise; `space` is an identifier and one, 0 for all."""
        self._cpus[0].engine.fence_pages(numbers, address, pages, space)

    def started(self, number: int) -> bool:
        """Whether a hart runs."""
        return self._cpus[number].started

    def start(self, number: int, address: int, opaque: int) -> None:
        """Have a stopped hart begin at an address in supervisor mode, with its number in a0 and `opaque` in a1."""
        cpu = self._cpus[number]
        s = cpu.state
        wires = s.external, s.mtimecmp
        reset_state(s)
        start_monitored(s)
        s.external, s.mtimecmp = wires
        s.mhartid, s.pc = number, address
        s.x[A0], s.x[A1] = number, opaque
        self.fence_pages([number], 0, EVERYTHING, 0)
        self.fence_code([number])
        cpu.started, cpu.waiting = True, False
        cpu.wake()

    def stop(self, number: int) -> None:
        """Have a hart, whose own thread this is, run no further."""
        self._cpus[number].started = False

    def suspend(self, number: int) -> None:
        """Have a hart, whose own thread this is, wait for an interrupt."""
        s = self._cpus[number].state
        if pending_interrupts(s) & s.mie:
            s.attention = 1
        else:
            self._cpus[number].waiting = True

    def last(self) -> bool:
        """Whether only one hart runs."""
        return sum(cpu.started for cpu in self._cpus) == 1
