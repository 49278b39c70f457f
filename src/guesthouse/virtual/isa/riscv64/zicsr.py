"""Zicsr, control and status register instructions: volume I, chapter 6.

No CSR of this processor has a side effect on reading, so reading one whose value goes to x0 is no difference.
Every check comes first: `csr_read` and `csr_write` cannot trap.
"""

from guesthouse.virtual.isa.riscv64.csr import csr_check, csr_read, csr_update_base, csr_write
from guesthouse.virtual.isa.riscv64.csr_names import Csr
from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.status import Status
from guesthouse.virtual.spec.words import u64

EXTENSION = "Zicsr"


@instruction("csrrw rd, csr, rs1", "csr rs1 001 rd 1110011")
def csrrw(s, rd, csr, rs1):
    csr_check(s, csr, 1)
    value = csr_read(s, csr)
    csr_write(s, csr, s.x[rs1])
    s.x[rd] = value


@instruction("csrrs rd, csr, rs1", "csr rs1 010 rd 1110011")
def csrrs(s, rd, csr, rs1):
    csr_check(s, csr, rs1 != 0)
    value = csr_read(s, csr)
    if rs1 != 0:
        csr_write(s, csr, csr_update_base(s, csr, value) | s.x[rs1])
    s.x[rd] = value


@instruction("csrrc rd, csr, rs1", "csr rs1 011 rd 1110011")
def csrrc(s, rd, csr, rs1):
    csr_check(s, csr, rs1 != 0)
    value = csr_read(s, csr)
    if rs1 != 0:
        csr_write(s, csr, u64(csr_update_base(s, csr, value) & ~s.x[rs1]))
    s.x[rd] = value


@instruction("csrrwi rd, csr, uimm", "csr uimm 101 rd 1110011")
def csrrwi(s, rd, csr, uimm):
    csr_check(s, csr, 1)
    value = csr_read(s, csr)
    csr_write(s, csr, uimm)
    s.x[rd] = value


@instruction("csrrsi rd, csr, uimm", "csr uimm 110 rd 1110011")
def csrrsi(s, rd, csr, uimm):
    csr_check(s, csr, uimm != 0)
    value = csr_read(s, csr)
    if uimm != 0:
        csr_write(s, csr, csr_update_base(s, csr, value) | uimm)
    s.x[rd] = value


@instruction("csrrci rd, csr, uimm", "csr uimm 111 rd 1110011")
def csrrci(s, rd, csr, uimm):
    csr_check(s, csr, uimm != 0)
    value = csr_read(s, csr)
    if csr == Csr.SSTATUS:
        # Only SIE is within reach. Kernels do this all the time, and with fewer interrupts nothing new can happen.
        s.mstatus = u64(s.mstatus & ~(uimm & Status.SIE))
    elif uimm != 0:
        csr_write(s, csr, u64(csr_update_base(s, csr, value) & ~uimm))
    s.x[rd] = value
