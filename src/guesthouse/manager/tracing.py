"""`--trace`: one line for each instruction, device access, trap or firmware call.

Instructions and traps are seen by stepping, which every engine can and which is slow; the others cost little.
"""

from collections.abc import Callable, Collection

from guesthouse.errors import UserError
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.machine.hooks import Access
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.stop import Reason, Stop
from guesthouse.virtual.spec.disassembly import Disassembler

STEPPED = frozenset({"instructions", "traps"})
INTERRUPT = 1 << 63


def _prepared_disassembler() -> Disassembler:
    """One that has met every instruction, so that it needs no source files any more."""
    disassembler = Disassembler(ISA, RISCV64_SYNTAX)
    for instruction in ISA.instructions:
        pattern = instruction.pattern
        free = ((1 << 8 * pattern.length) - 1) & ~pattern.mask
        for bits in (0, free, free & 0x5555_5555, free & 0xAAAA_AAAA):
            if pattern.matches(pattern.match | bits):
                disassembler.text_of(pattern.match | bits)  # one alone may be a hint, with a name of its own
    return disassembler


class Tracer:
    """Runs a machine and writes a line for what happens in it, beginning with the count of steps and the pc.

    To be made before the process confines itself: what it needs of the descriptions' source is read at once.
    """

    def __init__(self, machine: Machine, kinds: Collection[str], put: Callable[[str], None]) -> None:
        self._machine = machine
        self._put = put
        self._instructions = "instructions" in kinds
        self._traps = "traps" in kinds
        self._steps = bool(STEPPED & set(kinds))
        self._disassembler = _prepared_disassembler() if self._instructions else None
        if "devices" in kinds:
            machine.on_device(self._device)
        if "sbi" in kinds:
            machine.on_firmware_call(self._firmware_call)

    def run(self) -> Stop:
        """Run until the machine stops for a reason of its own."""
        if not self._steps:
            return self._machine.run()
        while (stop := self._step()).reason is Reason.BUDGET:
            pass
        return stop

    def _step(self) -> Stop:
        machine = self._machine
        machine._runner.choose()
        if self._instructions:
            self._line("instruction", self._text())
        traps = machine.registers["trapped"] if self._traps else 0
        stop = machine.step()
        if self._traps and machine.registers["trapped"] != traps:
            self._trap()
        return stop

    def _text(self) -> str:
        pc = self._machine.registers["pc"]
        for length in (4, 2):
            try:
                data = self._machine.virtual.read(pc, length)
            except UserError:
                continue
            word = int.from_bytes(data, "little")
            assert self._disassembler is not None
            try:
                return f"{word:0{2 * length}x}  {self._disassembler.text_of(word, pc).expandtabs(8)}"
            except OSError:  # one that was not met in preparation
                return f"{word:0{2 * length}x}"
        return "cannot be fetched"

    def _trap(self) -> None:
        registers = self._machine.registers
        supervisor = registers["pc"] & ~3 == registers["stvec"] & ~3
        cause, pc, value = (registers[("s" if supervisor else "m") + name] for name in ("cause", "epc", "tval"))
        kind = "interrupt" if cause & INTERRUPT else "exception"
        self._line("trap", f"{kind} {cause & ~INTERRUPT} at {pc:#x} value {value:#x}")

    def _device(self, machine: Machine, access: Access) -> None:
        arrow = "<-" if access.write else "->"
        name = access.device or "nothing"
        self._line("device", f"{name} {access.address:#x} {arrow} {access.value:#0{2 + 2 * access.size}x}")

    def _firmware_call(self, machine: Machine) -> None:
        x = machine.registers
        self._line("sbi", f"extension {x['a7']:#x} function {x['a6']} arguments {x['a0']:#x} {x['a1']:#x} {x['a2']:#x}")

    def _line(self, kind: str, text: str) -> None:
        machine = self._machine
        cpu = f" cpu {machine._core.current.number}" if machine.cpus > 1 else ""
        self._put(f"{machine.instructions:10} {machine.registers['pc']:#014x} {kind:11} {text}{cpu}")
