"""What the guest reaches of the machine as a whole: its switch and, through SBI calls, its console."""

from __future__ import annotations

from guesthouse.virtual.devices.uart import Uart
from guesthouse.virtual.machine.console import Console
from guesthouse.virtual.machine.stop import Reason, Stop
from guesthouse.virtual.memory.guest import GuestMemory

PANIC_STATUS = 70


class Switch:
    """Serves as `Power` to the devices and as `Board` to the SBI; only notes what is asked for."""

    def __init__(self, memory: GuestMemory, console: Console, reboot: bool) -> None:
        self.memory = memory
        self.console = console
        self.uart: Uart
        self.reboot = reboot
        self.stop: Stop | None = None
        """The end of the run that has been asked for."""
        self.restarting = False

    # --- Power --------------------------------------------------------------------------------------------------------

    def off(self, code: int) -> None:
        """Switch off with a status."""
        if self.stop is None:
            self.stop = Stop(Reason.POWER_OFF, code)

    def reset(self) -> None:
        """Start again; after a panic, or where restarts are not wanted, end."""
        if self.stop is not None:
            return
        if self.console.panic:
            self.stop = Stop(Reason.PANIC, PANIC_STATUS, self.console.panic)
        elif self.reboot:
            self.restarting = True
        else:
            self.stop = Stop(Reason.RESET)

    # --- Board --------------------------------------------------------------------------------------------------------

    def power_off(self, code: int) -> None:
        """As `off`."""
        self.off(code)

    def restart(self) -> None:
        """As `reset`."""
        self.reset()

    def console_write(self, data: bytes) -> None:
        """Put out what the guest prints through firmware calls."""
        self.console.put(data)

    def console_read(self, limit: int) -> bytes:
        """Input that the guest asks firmware for; it waits in the UART."""
        data = bytes(self.uart.input[:limit])
        if data:
            del self.uart.input[:limit]
            self.uart.resume()
        return data


class ConsoleBackend:
    """The UART's other end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, data: bytes) -> None:
        """Take output."""
        self._console.put(data)
