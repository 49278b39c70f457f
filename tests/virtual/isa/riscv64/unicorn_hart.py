"""Unicorn as the oracle of one instruction: RV64GC without the B extensions, no traps looked at."""

from __future__ import annotations

import unicorn
from unicorn import riscv_const as names

from ..fake import MEMORY, PC, SIZE

_X = [names.UC_RISCV_REG_X0 + n for n in range(32)]


class UnicornHart:
    """A processor with a page of code and the fake's page of memory."""

    def __init__(self) -> None:
        self.uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
        self.uc.mem_map(PC - 0x10_0000, 0x20_1000)  # as far as JAL reaches
        self.uc.mem_map(MEMORY, SIZE)

    def step(self, word: int, length: int, registers: dict[int, int], memory: bytes) -> None:
        """Run one instruction at PC; raises unicorn.UcError where it traps."""
        self.uc.ctl_remove_cache(PC, PC + 4)
        self.uc.mem_write(PC, word.to_bytes(length, "little"))
        self.uc.mem_write(MEMORY, memory)
        for number in range(1, 32):
            self.uc.reg_write(_X[number], registers.get(number, 0))
        self.uc.emu_start(PC, 0, count=1)

    def registers(self) -> list[int]:
        """The integer registers."""
        return [self.uc.reg_read(number) for number in _X]

    def pc(self) -> int:
        """Where it goes on."""
        return int(self.uc.reg_read(names.UC_RISCV_REG_PC))

    def memory(self) -> bytes:
        """The page of memory."""
        return bytes(self.uc.mem_read(MEMORY, SIZE))
