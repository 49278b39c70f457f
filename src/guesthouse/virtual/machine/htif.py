"""The host-target interface of bare-metal programs, as Spike serves it.

A program writes a command to its variable `tohost` and reads the answer from `fromhost`: the device in bits 63..56, its
command in 55..48, the payload below. Device 0 ends the program (payload bit 0 set: the status is the rest) or does the
system call whose number and arguments lie in memory at the payload; device 1 command 1 writes a character.
Source: the RISC-V front-end server's protocol as documented with Spike.
"""

from __future__ import annotations

from collections.abc import Callable

from guesthouse.virtual.devices.wires import BadAddress
from guesthouse.virtual.memory.guest import GuestMemory

SYSTEM, CHARACTERS = 0, 1
GET, PUT = 0, 1
WRITE, EXIT = 64, 93
PAYLOAD = (1 << 48) - 1
LONGEST_WRITE = 1 << 20
BAD_CALL = (1 << 64) - 38  # -ENOSYS
FAST, SLOW = 1 << 8, 1 << 18
"""Steps between two looks: soon after a command another one is likely."""


class Htif:
    """Looks at `tohost` from time to time; `output` takes characters."""

    def __init__(self, memory: GuestMemory, symbols: dict[str, int], output: Callable[[bytes], None]) -> None:
        self._memory = memory
        self._to = symbols["tohost"]
        self._from = symbols.get("fromhost")
        self._output = output
        self._pace = FAST
        self.next_look = 0
        """Count of the machine's steps at which to look again."""
        self.status: int | None = None
        """The program's exit status once it has ended: 1 where what it gave exceeds 255."""

    @staticmethod
    def wanted(memory: GuestMemory, symbols: dict[str, int]) -> bool:
        """Whether a program with these symbols speaks the protocol."""
        return "tohost" in symbols and memory.contains(symbols["tohost"], 8)

    def look(self, steps: int) -> None:
        """Serve a command, if there is one, where that is due at this count of steps."""
        if steps >= self.next_look:
            self._pace = min(self._pace * 2, SLOW)
            self.serve()
            self.next_look = steps + self._pace

    def save(self) -> tuple[int, int]:
        """What decides when it looks."""
        return self._pace, self.next_look

    def load(self, saved: tuple[int, int]) -> None:
        """Take over what `save` gave."""
        self._pace, self.next_look = saved

    def serve(self) -> None:
        """Serve a command, if there is one."""
        command = self._memory.load(self._to, 8)
        if not command:
            return
        self._pace = FAST
        self._memory.store(self._to, 8, 0)
        device, function, payload = command >> 56, command >> 48 & 0xFF, command & PAYLOAD
        if device == SYSTEM and payload & 1:
            self._end(payload >> 1)
        elif device == SYSTEM:
            self._call(payload)
            self._answer(1)
        elif device == CHARACTERS and function == PUT:
            self._output(bytes([payload & 0xFF]))
            self._answer(device << 56 | function << 48)

    def _end(self, status: int) -> None:
        self.status = status if status <= 255 else 1

    def _answer(self, value: int) -> None:
        if self._from is not None and self._memory.contains(self._from, 8):
            self._memory.store(self._from, 8, value)

    def _call(self, block: int) -> None:
        """Do the system call described by eight words at `block`, whose first takes the result."""
        try:
            number, first, address, count = (self._memory.load(block + 8 * i, 8) for i in range(4))
            result = BAD_CALL
            if number == WRITE:
                count = min(count, LONGEST_WRITE)
                self._output(self._memory.read(address, count))
                result = count
            elif number == EXIT:
                self._end(first)
                result = 0
            self._memory.store(block, 8, result)
        except BadAddress:
            pass


def signature(memory: GuestMemory, symbols: dict[str, int], granularity: int) -> str | None:
    """The words between `begin_signature` and `end_signature` as lines of hexadecimal; None without the symbols."""
    if "begin_signature" not in symbols or "end_signature" not in symbols:
        return None
    first, last = symbols["begin_signature"], symbols["end_signature"]
    try:
        data = memory.read(first, max(0, last - first))
    except BadAddress:
        return None
    words = (data[at : at + granularity] for at in range(0, len(data), granularity))
    return "".join(word.ljust(granularity, b"\0")[::-1].hex() + "\n" for word in words)
