"""Numbers of the control and status registers: volume II, section 2.2 "CSR Listing"."""

from enum import IntEnum


class Csr(IntEnum):
    """Every CSR that this processor has, except the numbered ones (counters 3 to 31, PMP)."""

    # Unprivileged.
    FFLAGS = 0x001
    FRM = 0x002
    FCSR = 0x003
    CYCLE = 0xC00
    TIME = 0xC01
    INSTRET = 0xC02

    # Supervisor.
    SSTATUS = 0x100
    SIE = 0x104
    STVEC = 0x105
    SCOUNTEREN = 0x106
    SENVCFG = 0x10A
    SSCRATCH = 0x140
    SEPC = 0x141
    SCAUSE = 0x142
    STVAL = 0x143
    SIP = 0x144
    STIMECMP = 0x14D
    SATP = 0x180

    # Machine.
    MVENDORID = 0xF11
    MARCHID = 0xF12
    MIMPID = 0xF13
    MHARTID = 0xF14
    MCONFIGPTR = 0xF15
    MSTATUS = 0x300
    MISA = 0x301
    MEDELEG = 0x302
    MIDELEG = 0x303
    MIE = 0x304
    MTVEC = 0x305
    MCOUNTEREN = 0x306
    MSCRATCH = 0x340
    MEPC = 0x341
    MCAUSE = 0x342
    MTVAL = 0x343
    MIP = 0x344
    MENVCFG = 0x30A
    MSECCFG = 0x747
    MCYCLE = 0xB00
    MINSTRET = 0xB02
    MCOUNTINHIBIT = 0x320

    # Triggers: debug specification, section 5.7. None is implemented.
    TSELECT = 0x7A0
    TDATA1 = 0x7A1
    TDATA2 = 0x7A2
    TDATA3 = 0x7A3
    TINFO = 0x7A4


PMPCFG0 = 0x3A0  # sixteen numbers, of which RV64 has the even ones
PMPADDR0 = 0x3B0  # sixty-four numbers
HPMCOUNTER0 = 0xC00  # counters n = 3..31 are at base + n
MHPMCOUNTER0 = 0xB00
MHPMEVENT0 = 0x320

# What assembler and disassembler call them.
CSR_NAMES: dict[str, int] = {
    **{csr.name.lower(): int(csr) for csr in Csr},
    **{f"hpmcounter{n}": HPMCOUNTER0 + n for n in range(3, 32)},
    **{f"mhpmcounter{n}": MHPMCOUNTER0 + n for n in range(3, 32)},
    **{f"mhpmevent{n}": MHPMEVENT0 + n for n in range(3, 32)},
    **{f"pmpcfg{n}": PMPCFG0 + n for n in range(0, 16, 2)},
    **{f"pmpaddr{n}": PMPADDR0 + n for n in range(64)},
}
