"""RV64F, single-precision floating point: volume I, chapter "F" Extension for Single-Precision Floating-Point.

Registers are 64 bits wide (with D): a single-precision value lies in the lower half under 32 one bits, and what is
not boxed so reads as the canonical NaN (chapter "D", section "NaN Boxing of Narrower Values").
"""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.environment import illegal
from guesthouse.virtual.isa.riscv64.status import Status
from guesthouse.virtual.spec.floating_point import (
    f32_add,
    f32_classify,
    f32_divide,
    f32_equal,
    f32_less,
    f32_less_equal,
    f32_max,
    f32_min,
    f32_multiply,
    f32_multiply_add,
    f32_square_root,
    f32_subtract,
    f32_to_s32,
    f32_to_s64,
    f32_to_u32,
    f32_to_u64,
    s32_to_f32,
    s64_to_f32,
    u32_to_f32,
    u64_to_f32,
)
from guesthouse.virtual.spec.words import load, s32, s64, store, u32, u64

EXTENSION = "F"

BOX = 0xFFFF_FFFF_0000_0000
CANONICAL_NAN = 0x7FC0_0000
SIGN = 1 << 31
DYNAMIC = 7  # the rounding mode field that names frm


def float_on(s):
    """Trap unless mstatus.FS lets floating-point instructions run (volume II, section 3.1.6.6)."""
    if s.mstatus & Status.FS == 0:
        illegal(s)


def float_dirty(s):
    """Record in mstatus.FS that a floating-point register or flag was written; SD follows from it."""
    s.mstatus |= Status.FS


def rounding_mode(s, rm: u64) -> u64:
    """The rounding mode of an instruction; 5 and 6 are reserved, and so is 7 in frm itself."""
    mode = s.frm if rm == DYNAMIC else rm
    if mode > 4:
        illegal(s)
    return mode


def boxed(value: u32) -> u64:
    """A single-precision pattern as a register holds it."""
    return value | BOX


def unboxed(value: u64) -> u32:
    """The single-precision pattern that a register holds."""
    return u32(value) if value >= BOX else CANONICAL_NAN


# Load and Store Instructions


@instruction("flw rd, offset(rs1)", "offset[11:0] rs1 010 rd 0000111")
def flw(s, rd, rs1, offset):
    float_on(s)
    s.f[rd] = boxed(load(s, u64(s.x[rs1] + offset), 4))
    float_dirty(s)


@instruction("fsw rs2, offset(rs1)", "offset[11:5] rs2 rs1 010 offset[4:0] 0100111")
def fsw(s, rs2, rs1, offset):
    float_on(s)
    store(s, u64(s.x[rs1] + offset), 4, s.f[rs2])


# Computational Instructions


@instruction("fadd.s rd, rs1, rs2, rm", "0000000 rs2 rs1 rm rd 1010011")
def fadd_s(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_add(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), mode))
    float_dirty(s)


@instruction("fsub.s rd, rs1, rs2, rm", "0000100 rs2 rs1 rm rd 1010011")
def fsub_s(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_subtract(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), mode))
    float_dirty(s)


@instruction("fmul.s rd, rs1, rs2, rm", "0001000 rs2 rs1 rm rd 1010011")
def fmul_s(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_multiply(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), mode))
    float_dirty(s)


@instruction("fdiv.s rd, rs1, rs2, rm", "0001100 rs2 rs1 rm rd 1010011")
def fdiv_s(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_divide(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), mode))
    float_dirty(s)


@instruction("fsqrt.s rd, rs1, rm", "0101100 00000 rs1 rm rd 1010011")
def fsqrt_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_square_root(s, unboxed(s.f[rs1]), mode))
    float_dirty(s)


@instruction("fmin.s rd, rs1, rs2", "0010100 rs2 rs1 000 rd 1010011")
def fmin_s(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = boxed(f32_min(s, unboxed(s.f[rs1]), unboxed(s.f[rs2])))
    float_dirty(s)


@instruction("fmax.s rd, rs1, rs2", "0010100 rs2 rs1 001 rd 1010011")
def fmax_s(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = boxed(f32_max(s, unboxed(s.f[rs1]), unboxed(s.f[rs2])))
    float_dirty(s)


@instruction("fmadd.s rd, rs1, rs2, rs3, rm", "rs3 00 rs2 rs1 rm rd 1000011")
def fmadd_s(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_multiply_add(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), unboxed(s.f[rs3]), mode))
    float_dirty(s)


@instruction("fmsub.s rd, rs1, rs2, rs3, rm", "rs3 00 rs2 rs1 rm rd 1000111")
def fmsub_s(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_multiply_add(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]), unboxed(s.f[rs3]) ^ SIGN, mode))
    float_dirty(s)


@instruction("fnmsub.s rd, rs1, rs2, rs3, rm", "rs3 00 rs2 rs1 rm rd 1001011")
def fnmsub_s(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_multiply_add(s, unboxed(s.f[rs1]) ^ SIGN, unboxed(s.f[rs2]), unboxed(s.f[rs3]), mode))
    float_dirty(s)


@instruction("fnmadd.s rd, rs1, rs2, rs3, rm", "rs3 00 rs2 rs1 rm rd 1001111")
def fnmadd_s(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f32_multiply_add(s, unboxed(s.f[rs1]) ^ SIGN, unboxed(s.f[rs2]), unboxed(s.f[rs3]) ^ SIGN, mode))
    float_dirty(s)


# Conversion and Move Instructions


@instruction("fcvt.w.s rd, rs1, rm", "1100000 00000 rs1 rm rd 1010011")
def fcvt_w_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f32_to_s32(s, unboxed(s.f[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.wu.s rd, rs1, rm", "1100000 00001 rs1 rm rd 1010011")
def fcvt_wu_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = s32(f32_to_u32(s, unboxed(s.f[rs1]), mode))
    float_dirty(s)


@instruction("fcvt.l.s rd, rs1, rm", "1100000 00010 rs1 rm rd 1010011")
def fcvt_l_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f32_to_s64(s, unboxed(s.f[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.lu.s rd, rs1, rm", "1100000 00011 rs1 rm rd 1010011")
def fcvt_lu_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f32_to_u64(s, unboxed(s.f[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.s.w rd, rs1, rm", "1101000 00000 rs1 rm rd 1010011")
def fcvt_s_w(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(s32_to_f32(s, s32(s.x[rs1]), mode))
    float_dirty(s)


@instruction("fcvt.s.wu rd, rs1, rm", "1101000 00001 rs1 rm rd 1010011")
def fcvt_s_wu(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(u32_to_f32(s, u32(s.x[rs1]), mode))
    float_dirty(s)


@instruction("fcvt.s.l rd, rs1, rm", "1101000 00010 rs1 rm rd 1010011")
def fcvt_s_l(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(s64_to_f32(s, s64(s.x[rs1]), mode))
    float_dirty(s)


@instruction("fcvt.s.lu rd, rs1, rm", "1101000 00011 rs1 rm rd 1010011")
def fcvt_s_lu(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(u64_to_f32(s, s.x[rs1], mode))
    float_dirty(s)


@instruction("fsgnj.s rd, rs1, rs2", "0010000 rs2 rs1 000 rd 1010011")
def fsgnj_s(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = boxed((unboxed(s.f[rs1]) & (SIGN - 1)) | (unboxed(s.f[rs2]) & SIGN))
    float_dirty(s)


@instruction("fsgnjn.s rd, rs1, rs2", "0010000 rs2 rs1 001 rd 1010011")
def fsgnjn_s(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = boxed((unboxed(s.f[rs1]) & (SIGN - 1)) | (~unboxed(s.f[rs2]) & SIGN))
    float_dirty(s)


@instruction("fsgnjx.s rd, rs1, rs2", "0010000 rs2 rs1 010 rd 1010011")
def fsgnjx_s(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = boxed(unboxed(s.f[rs1]) ^ (unboxed(s.f[rs2]) & SIGN))
    float_dirty(s)


@instruction("fmv.x.w rd, rs1", "1110000 00000 rs1 000 rd 1010011")
def fmv_x_w(s, rd, rs1):
    float_on(s)
    s.x[rd] = s32(s.f[rs1])


@instruction("fmv.w.x rd, rs1", "1111000 00000 rs1 000 rd 1010011")
def fmv_w_x(s, rd, rs1):
    float_on(s)
    s.f[rd] = boxed(u32(s.x[rs1]))
    float_dirty(s)


# Compare Instructions


@instruction("feq.s rd, rs1, rs2", "1010000 rs2 rs1 010 rd 1010011")
def feq_s(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f32_equal(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]))
    float_dirty(s)


@instruction("flt.s rd, rs1, rs2", "1010000 rs2 rs1 001 rd 1010011")
def flt_s(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f32_less(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]))
    float_dirty(s)


@instruction("fle.s rd, rs1, rs2", "1010000 rs2 rs1 000 rd 1010011")
def fle_s(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f32_less_equal(s, unboxed(s.f[rs1]), unboxed(s.f[rs2]))
    float_dirty(s)


# Classify Instruction


@instruction("fclass.s rd, rs1", "1110000 00000 rs1 001 rd 1010011")
def fclass_s(s, rd, rs1):
    float_on(s)
    s.x[rd] = f32_classify(s, unboxed(s.f[rs1]))
