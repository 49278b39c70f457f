"""The goldfish real-time clock: nanoseconds since 1970, and one alarm.

Source: the Goldfish virtual hardware description (Android emulator), device tree binding `google,goldfish-rtc`.

Not modelled: nothing.
"""

from guesthouse.virtual.devices.device import Device
from guesthouse.virtual.devices.state import Register, State
from guesthouse.virtual.devices.wires import Alarm, Clock, Irq

WORD = 0xFFFF_FFFF
DOUBLE = (1 << 64) - 1


class GoldfishRtc(Device):
    """Tells the time of day; the guest may set it, which moves only the guest's own clock."""

    alarm_low: int
    alarm_high: int
    interrupt_enabled: int
    alarm_armed: int
    pending: bool
    time_offset: int
    latched_high: int
    new_high: int

    registers = (
        Register(
            "time_low", 0x00, writable=WORD, stored=False, effects=True,
            doc="lower half of the time; reading latches the upper half, writing sets the clock",
        ),
        Register("time_high", 0x04, writable=WORD, stored=False, effects=True, doc="upper half; written first"),
        Register("alarm_low", 0x08, writable=WORD, effects=True, doc="lower half of the alarm; writing arms it"),
        Register("alarm_high", 0x0C, writable=WORD, doc="upper half of the alarm; write before the lower"),
        Register("interrupt_enabled", 0x10, writable=1, doc="bit 0 lets an alarm that has passed interrupt"),
        Register("clear_alarm", 0x14, writable=WORD, stored=False, effects=True, doc="writing disarms the alarm"),
        Register("alarm_armed", 0x18, doc="1 while an alarm is to come"),
        Register("clear_interrupt", 0x1C, writable=WORD, stored=False, effects=True, doc="writing ends the interrupt"),
    )  # fmt: skip
    state = (
        State("pending", False, "an alarm has passed and has not been cleared"),
        State("time_offset", 0, "nanoseconds the guest's clock is ahead of the host's"),
        State("latched_high", 0, "upper half of the time last read"),
        State("new_high", 0, "upper half of the time being set"),
    )

    def __init__(self, irq: Irq, clock: Clock) -> None:
        self.irq = irq
        self.clock = clock
        self._alarm: Alarm | None = None
        self.start()

    def _now(self) -> int:
        return self.clock.realtime() + self.time_offset & DOUBLE

    def on_read_time_low(self) -> int:
        """Answer the lower half and latch the upper."""
        now = self._now()
        self.latched_high = now >> 32
        return now & WORD

    def on_read_time_high(self) -> int:
        """Answer the latched upper half."""
        return self.latched_high

    def on_write_time_high(self, value: int) -> None:
        """Keep the upper half until the lower comes."""
        self.new_high = value

    def on_write_time_low(self, value: int) -> None:
        """Set the guest's clock."""
        self.time_offset = (self.new_high << 32 | value) - self.clock.realtime()
        self.resume()

    def on_write_alarm_low(self, value: int) -> None:
        """Set and arm the alarm."""
        self.alarm_low = value
        self.alarm_armed = 1
        self.resume()

    def on_write_clear_alarm(self, value: int) -> None:
        """Disarm the alarm."""
        self.alarm_armed = 0
        self.resume()

    def on_write_interrupt_enabled(self, value: int) -> None:
        """Open or close the way of the interrupt."""
        self.interrupt_enabled = value
        self._drive()

    def on_write_clear_interrupt(self, value: int) -> None:
        """Take back the interrupt."""
        self.pending = False
        self._drive()

    def resume(self) -> None:
        """Put the machine's alarm where the registers say."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.alarm_armed:
            wait = (self.alarm_high << 32 | self.alarm_low) - self._now()
            if wait <= 0:
                self._ring()
            else:
                self._alarm = self.clock.at_date(self.clock.realtime() + wait, self._ring)
        self._drive()

    def _ring(self) -> None:
        self.alarm_armed = 0
        self.pending = True
        self._drive()

    def _drive(self) -> None:
        self.irq.set(self.pending and bool(self.interrupt_enabled))
