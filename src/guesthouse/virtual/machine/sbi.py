"""The supervisor binary interface, answered by the monitor: a kernel runs without firmware.

Source: RISC-V Supervisor Binary Interface Specification, version 2.0; the chapter is named at each extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from guesthouse.virtual.devices.wires import BadAddress
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64, Trap

SUCCESS, FAILED, NOT_SUPPORTED, INVALID_PARAM, DENIED, INVALID_ADDRESS, ALREADY_AVAILABLE = 0, -1, -2, -3, -4, -5, -6
VERSION = 2 << 24
IMPLEMENTATION_ID = 0x47_48  # not a registered one: "GH"

BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN = 0x10, 0x54494D45, 0x735049, 0x52464E43, 0x48534D, 0x53525354, 0x4442434E
LEGACY = range(0, 9)
A0, A1, A2, A3, A4, A6, A7 = 10, 11, 12, 13, 14, 16, 17
SSIP = 1 << 1
PAGE = 4096
LONGEST_WRITE = 1 << 20  # bytes taken from a debug console write at once; the caller sees how many

Answer = tuple[int, int]


class Board(Protocol):
    """What the calls reach besides the hart."""

    memory: GuestMemory

    def console_write(self, data: bytes) -> None: ...
    def console_read(self, limit: int) -> bytes: ...
    def power_off(self, code: int) -> None: ...
    def restart(self) -> None: ...


class Harts(Protocol):
    """What the calls reach of the harts; `number` is a hart's."""

    @property
    def count(self) -> int: ...
    def interrupt(self, number: int) -> None: ...
    def fence_code(self, numbers: Iterable[int]) -> None: ...
    def fence_pages(self, numbers: Iterable[int], address: int, pages: int, space: int) -> None: ...
    def started(self, number: int) -> bool: ...
    def start(self, number: int, address: int, opaque: int) -> None: ...
    def stop(self, number: int) -> None: ...
    def suspend(self, number: int) -> None: ...
    def last(self) -> bool: ...


class Sbi:
    """Answers environment calls of one hart: function in a6, extension in a7, arguments in a0 to a5."""

    def __init__(self, number: int, state: ProcessorState, board: Board, harts: Harts) -> None:
        self.number = number
        self.state = state
        self.board = board
        self.harts = harts
        self._extensions: dict[int, Callable[[int], Answer]] = {
            BASE: self._base,
            TIME: self._time,
            IPI: self._ipi,
            RFENCE: self._rfence,
            HSM: self._hsm,
            SRST: self._srst,
            DBCN: self._dbcn,
        }

    def call(self) -> None:
        """Answer the call that the registers hold: error in a0, value in a1."""
        x = self.state.x
        extension = x[A7]
        if extension in LEGACY:
            x[A0] = self._legacy(extension)
            return
        answer = self._extensions.get(extension)
        error, value = answer(x[A6]) if answer else (NOT_SUPPORTED, 0)
        x[A0], x[A1] = error, value

    # Chapter 4: base.

    def _base(self, function: int) -> Answer:
        known = self.state.x[A0] in self._extensions or self.state.x[A0] in LEGACY
        values = [VERSION, IMPLEMENTATION_ID, 1, int(known), 0, 0, 0]
        return (SUCCESS, values[function]) if function < len(values) else (NOT_SUPPORTED, 0)

    # Chapter 5: the legacy extensions give their result in a0 alone.

    def _legacy(self, extension: int) -> int:
        s = self.state
        match extension:
            case 0:
                self._set_timer(s.x[A0])
            case 1:
                self.board.console_write(bytes([s.x[A0] & 0xFF]))
            case 2:
                data = self.board.console_read(1)
                return data[0] if data else -1
            case 3:
                s.mip &= ~SSIP
            case 4:
                self._interrupt(self._legacy_harts())
            case 5 | 6 | 7:
                if extension == 5:
                    self._fence_code(self._legacy_harts())
                else:
                    self._fence_pages(self._legacy_harts(), s.x[A1], s.x[A2], s.x[A3] + 1 if extension == 7 else 0)
            case 8:
                self.board.power_off(0)
        return SUCCESS

    def _legacy_harts(self) -> list[int]:
        """The harts of a mask in memory, all where there is none: a0 is its guest-virtual address."""
        address = self.state.x[A0]
        if not address:
            return list(range(self.harts.count))
        try:
            mask = self.state.environment.load(address, 8)
        except Trap:  # it can't be told, and more than was asked for does no harm
            mask = MASK64
        return [number for number in range(self.harts.count) if mask >> number & 1]

    # Chapter 6: timer.

    def _time(self, function: int) -> Answer:
        if function != 0:
            return NOT_SUPPORTED, 0
        self._set_timer(self.state.x[A0])
        return SUCCESS, 0

    def _set_timer(self, when: int) -> None:
        self.state.stimecmp = when
        self.state.attention = 1

    # Chapter 7: inter-processor interrupts.

    def _ipi(self, function: int) -> Answer:
        if function != 0:
            return NOT_SUPPORTED, 0
        harts = self._harts(self.state.x[A0], self.state.x[A1])
        if harts is None:
            return INVALID_PARAM, 0
        self._interrupt(harts)
        return SUCCESS, 0

    def _interrupt(self, harts: list[int]) -> None:
        for number in harts:
            if number == self.number:
                self.state.mip |= SSIP
                self.state.attention = 1
            else:
                self.harts.interrupt(number)

    def _harts(self, mask: int, base: int) -> list[int] | None:
        """The harts that are meant; None where one is that does not exist."""
        if base == MASK64:
            return list(range(self.harts.count))
        if mask and base + mask.bit_length() > self.harts.count:
            return None
        return [base + bit for bit in range(mask.bit_length()) if mask >> bit & 1]

    # Chapter 8: remote fences.

    def _rfence(self, function: int) -> Answer:
        if function > 2:
            return NOT_SUPPORTED, 0
        harts = self._harts(self.state.x[A0], self.state.x[A1])
        if harts is None:
            return INVALID_PARAM, 0
        x = self.state.x
        if function == 0:
            self._fence_code(harts)
        else:
            self._fence_pages(harts, x[A2], x[A3], x[A4] + 1 if function == 2 else 0)
        return SUCCESS, 0

    def _fence_code(self, harts: list[int]) -> None:
        if self.harts.count > 1:  # one alone has seen all that it wrote
            self.harts.fence_code(harts)

    def _fence_pages(self, harts: list[int], start: int, size: int, space: int) -> None:
        """A range of no bytes from 0 on, or of all ones, is everything."""
        if self.harts.count == 1:
            self.state.environment.forget_translations()
            return
        everything = size == MASK64 or (start == 0 and size == 0)
        pages = (1 << 52) if everything else (start % PAGE + size + PAGE - 1) // PAGE
        self.harts.fence_pages(harts, start & -PAGE, pages, space)

    # Chapter 9: hart state management.

    def _hsm(self, function: int) -> Answer:
        x, harts = self.state.x, self.harts
        match function:
            case 0:
                return self._start(x[A0], x[A1], x[A2]), 0
            case 1:
                if harts.last():
                    return FAILED, 0  # nobody could start it again
                harts.stop(self.number)
                return SUCCESS, 0
            case 2:
                return (INVALID_PARAM, 0) if x[A0] >= harts.count else (SUCCESS, int(not harts.started(x[A0])))
            case 3:
                if x[A0] != 0:
                    return NOT_SUPPORTED, 0
                harts.suspend(self.number)
                return SUCCESS, 0
        return NOT_SUPPORTED, 0

    def _start(self, number: int, address: int, opaque: int) -> int:
        if number >= self.harts.count:
            return INVALID_PARAM
        if self.harts.started(number):
            return ALREADY_AVAILABLE
        if not self.board.memory.contains(address, 2):
            return INVALID_ADDRESS
        self.harts.start(number, address, opaque)
        return SUCCESS

    # Chapter 10: system reset.

    def _srst(self, function: int) -> Answer:
        kind, reason = self.state.x[A0], self.state.x[A1]
        if function != 0:
            return NOT_SUPPORTED, 0
        if kind > 2 or reason > 1:
            return INVALID_PARAM, 0
        if kind == 0:
            self.board.power_off(reason)
        else:
            self.board.restart()
        return SUCCESS, 0

    # Chapter 12: debug console.

    def _dbcn(self, function: int) -> Answer:
        x = self.state.x
        try:
            match function:
                case 0:
                    count = min(x[A0], LONGEST_WRITE)
                    self.board.console_write(self.board.memory.read(x[A1] | x[A2] << 64, count))
                    return SUCCESS, count
                case 1:
                    if not self.board.memory.contains(x[A1] | x[A2] << 64, min(x[A0], LONGEST_WRITE)):
                        return INVALID_PARAM, 0
                    data = self.board.console_read(min(x[A0], LONGEST_WRITE))
                    self.board.memory.write(x[A1] | x[A2] << 64, data)
                    return SUCCESS, len(data)
                case 2:
                    self.board.console_write(bytes([x[A0] & 0xFF]))
                    return SUCCESS, 0
        except BadAddress:
            return INVALID_PARAM, 0
        return NOT_SUPPORTED, 0
