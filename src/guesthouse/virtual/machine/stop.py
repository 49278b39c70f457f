"""Why a machine came back from `run`."""

from __future__ import annotations

from enum import Enum

import msgspec


class Reason(Enum):
    """What ended a run; after the first three the machine is off until `reset`."""

    POWER_OFF = "the guest switched the machine off"
    RESET = "the guest asked for a reset and `reboot` is off"
    PANIC = "the guest's kernel panicked and asked for a reset"
    BUDGET = "the budget of instructions is spent"
    TIMEOUT = "the time is up"
    BREAKPOINT = "a breakpoint is reached; its instruction has not run yet"
    WATCH = "a watched address is about to be accessed"
    TEXT = "the console has shown the text waited for"
    DEBUGGER = "a debugger wants the machine; `Machine.run` serves it and never answers so"
    STOPPED = "somebody called `stop`"
    WAITING = "the guest waits, and nothing but input could wake it"


ENDS = (Reason.POWER_OFF, Reason.RESET, Reason.PANIC)


class Stop(msgspec.Struct, frozen=True):
    """The answer of `run`.

    `status` is what the guest gave with POWER_OFF (0 is success), 70 for PANIC, else 0. `text` is the panic's line, the
    console's text up to the end of what was waited for, or empty. `address` is the pc of a BREAKPOINT, the
    guest-physical address of a WATCH; `cpu` the number of the processor that came to them.
    """

    reason: Reason
    status: int = 0
    text: str = ""
    address: int = 0
    cpu: int = 0
