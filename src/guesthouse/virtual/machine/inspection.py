"""Looking into a machine that stands still: registers, memory, and the code in it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.devices.wires import BadAddress
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.csr import csr_read, csr_write
from guesthouse.virtual.isa.riscv64.csr_names import CSR_NAMES
from guesthouse.virtual.isa.riscv64.description import F_NAMES, X_NAMES
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.isa.riscv64.status import Mode, Status
from guesthouse.virtual.machine.core import Core, Monitor
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.memory.shadow import LOAD
from guesthouse.virtual.spec.disassembly import Disassembler
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.state import ProcessorState
from guesthouse.virtual.spec.words import MASK64, Trap

PAGE = 4096
SMALL = {name for name, field in ISA.layout.fields.items() if isinstance(field, Field) and field.saved}


class Registers:
    """Every register by its name in assembly: `a0` or `x10`, `fa0` or `f10`, `pc`, the CSRs, and `mode`.

    Values are unsigned 64-bit numbers; a floating-point register gives its bits. Writing a CSR keeps what it can hold.
    """

    def __init__(self, state: ProcessorState) -> None:
        self._state = state
        numbers = {f"x{i}": ("x", i) for i in range(32)} | {f"f{i}": ("f", i) for i in range(32)}
        names = {name: ("x", i) for i, name in enumerate(X_NAMES)} | {name: ("f", i) for i, name in enumerate(F_NAMES)}
        self._files = {**numbers, **names, "fp": ("x", 8)}

    def __getitem__(self, name: str) -> int:
        state = self._state
        if name in self._files:
            file, index = self._files[name]
            return int(getattr(state, file)[index])
        if name in CSR_NAMES:
            return int(csr_read(state, CSR_NAMES[name])) & MASK64
        if name in SMALL:
            return int(getattr(state, name))
        raise self._unknown(name)

    def __setitem__(self, name: str, value: int) -> None:
        state, value = self._state, value & MASK64
        if name in self._files:
            file, index = self._files[name]
            getattr(state, file)[index] = value
        elif name in CSR_NAMES:
            csr_write(state, CSR_NAMES[name], value)
        elif name == "pc":
            state.pc = value & ~1
            state.exit_answered = 0
        elif name == "mode" and value in (0, 1, 3):
            state.mode = value
        elif name in SMALL:
            raise UserError(f"The register {name!r} can't be set to {value:#x}.")
        else:
            raise self._unknown(name)
        state.attention = 1

    def _unknown(self, name: str) -> UserError:
        return UserError(f"There is no register {name!r}; use the names of assembly, such as 'a0', 'pc' or 'mstatus'.")

    def __iter__(self) -> Iterator[str]:
        yield from ("pc", *X_NAMES, *F_NAMES, "mode", *CSR_NAMES)


class PhysicalMemory:
    """RAM by guest-physical address."""

    def __init__(self, memory: GuestMemory) -> None:
        self._memory = memory

    @property
    def base(self) -> int:
        """Address of the first byte."""
        return self._memory.base

    @property
    def size(self) -> int:
        """Bytes of RAM."""
        return self._memory.size

    def read(self, address: int, length: int) -> bytes:
        """Copy out; raises UserError outside RAM."""
        self._check(address, length)
        return self._memory.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Copy in; code that was there is seen to be changed. Raises UserError outside RAM."""
        self._check(address, len(data))
        self._memory.write(address, data)

    def _check(self, address: int, length: int) -> None:
        if length < 0 or not self._memory.contains(address, length):
            raise UserError(f"{length} bytes at {address:#x} are not all in the machine's memory; look at its map.")


class _Onlooker(Monitor):
    """Translates without setting accessed and dirty bits."""

    def physical_compare_exchange(self, address: int, size: int, expected: int, desired: int) -> int:
        """Say that it is done."""
        return 1


class VirtualMemory:
    """RAM as a processor sees it now: through its page tables, in its privilege mode."""

    def __init__(self, core: Core, cpu: Cpu | None = None) -> None:
        """`cpu`: the processor; the one that ran last where None."""
        self._core = core
        self.memory = core.memory
        self._cpu = cpu

    @property
    def _state(self) -> ProcessorState:
        return (self._cpu or self._core.current).state

    def _eye(self, state: ProcessorState) -> _Onlooker:
        eye = _Onlooker(ISA, self._core.memory, state)
        eye.engine = (self._cpu or self._core.current).engine
        return eye

    def translate(self, address: int) -> int | None:
        """The guest-physical address, None where the guest could not load from there."""
        state = self._state
        before, state.environment = state.environment, self._eye(state)
        try:
            context = ISA.hooks["data_context"](state)
            page = ISA.hooks["translate"](state, address & MASK64, 1, LOAD, context)
        except Trap:
            return None
        finally:
            state.environment = before
        return int(page) & ~0xFFF & MASK64 | address & 0xFFF

    def translate_page(self, address: int) -> int | None:
        """The guest-physical address of the page that an address lies in, None where that is not mapped to RAM."""
        physical = self.translate(address & -PAGE)
        return physical if physical is not None and self.memory.contains(physical, PAGE) else None

    def _pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        while length > 0:
            step = min(length, PAGE - address % PAGE)
            physical = self.translate(address)
            if physical is None or not self._core.memory.contains(physical, step):
                raise UserError(f"The guest has no memory at its virtual address {address & MASK64:#x} now.")
            yield physical, step
            address, length = address + step, length - step

    def read(self, address: int, length: int) -> bytes:
        """Copy out; raises UserError where a page is not mapped to RAM."""
        return b"".join(self._core.memory.read(*piece) for piece in self._pieces(address, length))

    def write(self, address: int, data: bytes) -> None:
        """Copy in, whether or not the guest might write there; raises UserError before anything is changed."""
        at = 0
        for physical, step in list(self._pieces(address, len(data))):
            self._core.memory.write(physical, data[at : at + step])
            at += step


class Processor(msgspec.Struct, frozen=True):
    """One processor of a machine that stands still: its registers, and RAM as it sees it."""

    cpu: Cpu
    registers: Registers
    virtual: VirtualMemory

    @property
    def number(self) -> int:
        """Its number, which the guest knows as its hart identifier."""
        return self.cpu.number

    @property
    def started(self) -> bool:
        """Whether the guest has started it."""
        return self.cpu.started

    @property
    def waiting(self) -> bool:
        """Whether it waits for an interrupt."""
        return self.cpu.waiting

    @property
    def instructions(self) -> int:
        """Steps (instructions and traps) that it has done."""
        return int(self.cpu.state.instructions)


class EveryonesMemory(VirtualMemory):
    """RAM as the page tables map it, whoever may use it: for a debugger, which asks for programs' memory from inside
    the kernel and the other way round."""

    def translate(self, address: int) -> int | None:
        """The guest-physical address as the processor sees it, else as supervisor mode with all rights would."""
        found = super().translate(address)
        if found is not None and self._core.memory.contains(found):
            return found
        state = self._state
        mode, status = int(state.mode), int(state.mstatus)
        state.mode, state.mstatus = Mode.SUPERVISOR, (status | Status.SUM | Status.MXR) & ~Status.MPRV
        try:
            anyones = super().translate(address)
        finally:
            state.mode, state.mstatus = mode, status
        return found if anyones is None else anyones


class Disassembly:
    """Reads code in the guest's memory."""

    def __init__(self, core: Core, virtual: VirtualMemory) -> None:
        self._core = core
        self._virtual = virtual
        self._disassembler: Disassembler | None = None

    def lines(self, address: int, count: int) -> list[str]:
        """`count` instructions from a guest-virtual address on, fewer where memory ends."""
        if self._disassembler is None:
            self._disassembler = Disassembler(ISA, RISCV64_SYNTAX)
        found = []
        for _ in range(count):
            data = self._bytes(address)
            if not data:
                break
            _, read, text = next(self._disassembler.disassemble(data, address))
            found.append(f"{address:x}: {text}")
            address = (address + len(read)) & MASK64
        return found

    def _bytes(self, address: int) -> bytes:
        """The next instruction's bytes, two where the rest is not there."""
        for length in (4, 2):
            try:
                return self._virtual.read(address, length)
            except (UserError, BadAddress):
                continue
        return b""
