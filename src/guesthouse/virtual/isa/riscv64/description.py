"""RISC-V RV64GC: the state of a hart and the record of its instructions.

Source: The RISC-V Instruction Set Manual, volume I (unprivileged), chapters 2 to 34; volume II (privileged).
"""

from guesthouse.virtual.isa.riscv64.status import Status
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.encoding import BitFields
from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout

X_NAMES = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *("a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"),
    *("s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"),
)
F_NAMES = (
    *("ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1"),
    *("fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7"),
    *("fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"),
)

LARGE_WORDS = 64
SPACES = 8  # address spaces whose translations are kept at a time

LAYOUT = StateLayout(
    RegisterFile("x", 32, zero=0, names=X_NAMES, doc="integer registers"),
    RegisterFile("f", 32, names=F_NAMES, doc="floating-point registers, NaN-boxed"),
    Field("frm", bits=3, doc="dynamic rounding mode", usual=(7, 0)),
    Field("mode", bits=2, reset=3, doc="privilege: 0 user, 1 supervisor, 3 machine"),
    Field("monitor", bits=1, doc="1: the monitor answers SBI calls, there is no machine mode"),
    Field("external", saved=False, doc="interrupt bits that devices hold up through wires; written by other threads"),
    Field("raised", saved=False, doc="bits of mip that other harts set; the next look at interrupts takes them over"),
    Field("mtimecmp", reset=(1 << 64) - 1, doc="time at which the machine timer interrupt is up"),
    Field("time_offset", doc="`time` minus the ticks of the machine's clock"),
    # Machine mode; a CSR that is a view of another has no field of its own.
    Field("mhartid", doc="number of this hart"),
    Field(
        "mstatus", doc="without the fields that are constant or derived (UXL, SXL, SD)", usual=(Status.FS, Status.FS)
    ),
    Field("medeleg", doc="exceptions that go to supervisor mode"),
    Field("mideleg", doc="interrupts that go to supervisor mode"),
    Field("mie", doc="interrupts enabled"),
    Field("mip", doc="interrupt bits pending by software: SSIP, STIP, SEIP"),
    Field("mtvec", doc="machine trap vector"),
    Field("mcounteren", doc="counters that supervisor mode may read"),
    Field("mscratch", doc="machine scratch"),
    Field("mepc", doc="machine exception program counter"),
    Field("mcause", doc="machine trap cause"),
    Field("mtval", doc="machine trap value"),
    Field("menvcfg", doc="what the modes below machine mode may do"),
    Field("mcountinhibit", doc="counters that stand still"),
    Field("mcycle", doc="cycles minus instructions retired; the cycles themselves while inhibited"),
    Field("minstret", doc="as mcycle, for the instructions retired"),
    RegisterFile("pmpcfg", 16, bits=8, doc="physical memory protection: one byte an entry"),
    RegisterFile("pmpaddr", 16, bits=54, doc="physical memory protection: addresses in units of 4 bytes"),
    # Supervisor mode.
    Field("stvec", doc="supervisor trap vector"),
    Field("scounteren", doc="counters that user mode may read"),
    Field("senvcfg", doc="what user mode may do"),
    Field("sscratch", doc="supervisor scratch"),
    Field("sepc", doc="supervisor exception program counter"),
    Field("scause", doc="supervisor trap cause"),
    Field("stval", doc="supervisor trap value"),
    Field("satp", doc="address translation: mode, address space, root table"),
    Field("stimecmp", reset=(1 << 64) - 1, doc="time at which the supervisor timer interrupt is up"),
    # Where leaves larger than a page have translated, since all translations were forgotten: see `translations`.
    RegisterFile("large_leaves", LARGE_WORDS, saved=False, doc="up to 2 MiB: a bit for each of 4096 places"),
    Field("huge_leaves", saved=False, doc="larger ones: a bit for each of 64 places"),
    # Address spaces whose translations are kept: see `translations.enter_space`.
    Field("space", bits=3, saved=False, doc="number of the present one"),
    Field("space_next", bits=3, saved=False, doc="number of the one to be given up next"),
    RegisterFile("space_labels", SPACES, saved=False, doc="satp of each, plus one; 0 for none"),
)

GRAMMAR = BitFields(
    widths={"rd": 5, "rs1": 5, "rs2": 5, "rs3": 5, "rm": 3, "csr": 12, "uimm": 5, "shamt": 6, "aq": 1, "rl": 1},
    signed=frozenset({"imm", "offset"}),
)

RISCV64 = Isa("riscv64", LAYOUT, GRAMMAR, unit=2, longest=4, contexts=8 * SPACES)

instruction = RISCV64.instruction
hook = RISCV64.hook
