"""One processor of a machine, and what of it others reach: waking it, starting it, interrupting it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from guesthouse.virtual.isa.riscv64.interrupts import next_timer
from guesthouse.virtual.isa.riscv64.status import Interrupt
from guesthouse.virtual.machine.engines import Engine
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64

if TYPE_CHECKING:
    from guesthouse.virtual.machine.sbi import Sbi


class Cpu:
    """A processor: its number, state and engine; whether it runs, waits for an interrupt, or has been stopped."""

    sbi: Sbi

    def __init__(self, number: int, state: ProcessorState, engine: Engine) -> None:
        self.number = number
        self.state = state
        self.engine = engine
        self.started = True
        """False: it waits for another one to start it (SBI's hart state management)."""
        self.waiting = False
        """The guest has executed a wait for interrupt and nothing has woken it."""
        self.held = False
        """A debugger has it stand still while others run."""
        self._event = threading.Event()
        self._asleep = False

    @property
    def idle(self) -> bool:
        """Whether it has nothing to run now."""
        return self.waiting or not self.started or self.held

    def wake(self) -> None:
        """Have it look at interrupts, and end its sleep; from any thread, behind whatever it is to find."""
        self.state.attention = 1
        self._event.set()

    def interrupt(self) -> None:
        """Raise its supervisor software interrupt; from any thread but the one it runs in."""
        self.state.raised = int(Interrupt.SSI)
        self.wake()

    def take_raised(self) -> None:
        """Have in its state what others have raised; it does not run."""
        self.state.mip |= self.state.raised
        self.state.raised = 0

    def stop_running(self) -> None:
        """Have its thread come back to Python, wherever it is; from any thread."""
        self.state.request = 1
        self._event.set()

    def due(self) -> int:
        """The machine's clock in nanoseconds at which a timer ends its waiting; all ones for never."""
        return int(next_timer(self.state)) if self.started and not self.held else MASK64

    def ready(self, now: int) -> bool:
        """Whether it has something to run; ends its waiting where an interrupt or a timer does."""
        if not self.started or self.held:
            return False
        if self.waiting and (self.state.attention or self.due() <= now):
            self.waiting = False
            self.state.attention = 1
        return not self.waiting

    def forget_wakes(self) -> None:
        """What wakes it from here on is seen by the next `sleep`; to be called before looking whether it is idle."""
        self._event.clear()

    def sleep(self, seconds: float | None, falling_asleep: Callable[[], None] | None = None) -> None:
        """Sleep until it is woken, at most so long; `falling_asleep` is called before."""
        self._asleep = True
        if falling_asleep is not None:
            falling_asleep()
        self._event.wait(seconds)
        self._asleep = False

    @property
    def dormant(self) -> bool:
        """Whether it sleeps, and only somebody else could wake it."""
        return (
            self._asleep
            and self.idle
            and not self._event.is_set()
            and not (self.started and self.state.attention)
            and self.due() == MASK64
        )
