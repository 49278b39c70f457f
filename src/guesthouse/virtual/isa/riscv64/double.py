"""RV64D, double-precision floating point: volume I, chapter "D" Extension for Double-Precision Floating-Point."""

from guesthouse.virtual.isa.riscv64.description import instruction
from guesthouse.virtual.isa.riscv64.single import boxed, float_dirty, float_on, rounding_mode, unboxed
from guesthouse.virtual.spec.floating_point import (
    f32_to_f64,
    f64_add,
    f64_classify,
    f64_divide,
    f64_equal,
    f64_less,
    f64_less_equal,
    f64_max,
    f64_min,
    f64_multiply,
    f64_multiply_add,
    f64_square_root,
    f64_subtract,
    f64_to_f32,
    f64_to_s32,
    f64_to_s64,
    f64_to_u32,
    f64_to_u64,
    s32_to_f64,
    s64_to_f64,
    u32_to_f64,
    u64_to_f64,
)
from guesthouse.virtual.spec.words import load, s32, s64, store, u32, u64

EXTENSION = "D"

SIGN = 1 << 63


# Load and Store Instructions


@instruction("fld rd, offset(rs1)", "offset[11:0] rs1 011 rd 0000111")
def fld(s, rd, rs1, offset):
    float_on(s)
    s.f[rd] = load(s, u64(s.x[rs1] + offset), 8)
    float_dirty(s)


@instruction("fsd rs2, offset(rs1)", "offset[11:5] rs2 rs1 011 offset[4:0] 0100111")
def fsd(s, rs2, rs1, offset):
    float_on(s)
    store(s, u64(s.x[rs1] + offset), 8, s.f[rs2])


# Computational Instructions


@instruction("fadd.d rd, rs1, rs2, rm", "0000001 rs2 rs1 rm rd 1010011")
def fadd_d(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_add(s, s.f[rs1], s.f[rs2], mode)
    float_dirty(s)


@instruction("fsub.d rd, rs1, rs2, rm", "0000101 rs2 rs1 rm rd 1010011")
def fsub_d(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_subtract(s, s.f[rs1], s.f[rs2], mode)
    float_dirty(s)


@instruction("fmul.d rd, rs1, rs2, rm", "0001001 rs2 rs1 rm rd 1010011")
def fmul_d(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_multiply(s, s.f[rs1], s.f[rs2], mode)
    float_dirty(s)


@instruction("fdiv.d rd, rs1, rs2, rm", "0001101 rs2 rs1 rm rd 1010011")
def fdiv_d(s, rd, rs1, rs2, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_divide(s, s.f[rs1], s.f[rs2], mode)
    float_dirty(s)


@instruction("fsqrt.d rd, rs1, rm", "0101101 00000 rs1 rm rd 1010011")
def fsqrt_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_square_root(s, s.f[rs1], mode)
    float_dirty(s)


@instruction("fmin.d rd, rs1, rs2", "0010101 rs2 rs1 000 rd 1010011")
def fmin_d(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = f64_min(s, s.f[rs1], s.f[rs2])
    float_dirty(s)


@instruction("fmax.d rd, rs1, rs2", "0010101 rs2 rs1 001 rd 1010011")
def fmax_d(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = f64_max(s, s.f[rs1], s.f[rs2])
    float_dirty(s)


@instruction("fmadd.d rd, rs1, rs2, rs3, rm", "rs3 01 rs2 rs1 rm rd 1000011")
def fmadd_d(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_multiply_add(s, s.f[rs1], s.f[rs2], s.f[rs3], mode)
    float_dirty(s)


@instruction("fmsub.d rd, rs1, rs2, rs3, rm", "rs3 01 rs2 rs1 rm rd 1000111")
def fmsub_d(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_multiply_add(s, s.f[rs1], s.f[rs2], s.f[rs3] ^ SIGN, mode)
    float_dirty(s)


@instruction("fnmsub.d rd, rs1, rs2, rs3, rm", "rs3 01 rs2 rs1 rm rd 1001011")
def fnmsub_d(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_multiply_add(s, s.f[rs1] ^ SIGN, s.f[rs2], s.f[rs3], mode)
    float_dirty(s)


@instruction("fnmadd.d rd, rs1, rs2, rs3, rm", "rs3 01 rs2 rs1 rm rd 1001111")
def fnmadd_d(s, rd, rs1, rs2, rs3, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f64_multiply_add(s, s.f[rs1] ^ SIGN, s.f[rs2], s.f[rs3] ^ SIGN, mode)
    float_dirty(s)


# Conversion and Move Instructions


@instruction("fcvt.w.d rd, rs1, rm", "1100001 00000 rs1 rm rd 1010011")
def fcvt_w_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f64_to_s32(s, s.f[rs1], mode)
    float_dirty(s)


@instruction("fcvt.wu.d rd, rs1, rm", "1100001 00001 rs1 rm rd 1010011")
def fcvt_wu_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = s32(f64_to_u32(s, s.f[rs1], mode))
    float_dirty(s)


@instruction("fcvt.l.d rd, rs1, rm", "1100001 00010 rs1 rm rd 1010011")
def fcvt_l_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f64_to_s64(s, s.f[rs1], mode)
    float_dirty(s)


@instruction("fcvt.lu.d rd, rs1, rm", "1100001 00011 rs1 rm rd 1010011")
def fcvt_lu_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.x[rd] = f64_to_u64(s, s.f[rs1], mode)
    float_dirty(s)


@instruction("fcvt.d.w rd, rs1, rm", "1101001 00000 rs1 rm rd 1010011")
def fcvt_d_w(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = s32_to_f64(s, s32(s.x[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.d.wu rd, rs1, rm", "1101001 00001 rs1 rm rd 1010011")
def fcvt_d_wu(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = u32_to_f64(s, u32(s.x[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.d.l rd, rs1, rm", "1101001 00010 rs1 rm rd 1010011")
def fcvt_d_l(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = s64_to_f64(s, s64(s.x[rs1]), mode)
    float_dirty(s)


@instruction("fcvt.d.lu rd, rs1, rm", "1101001 00011 rs1 rm rd 1010011")
def fcvt_d_lu(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = u64_to_f64(s, s.x[rs1], mode)
    float_dirty(s)


@instruction("fcvt.s.d rd, rs1, rm", "0100000 00001 rs1 rm rd 1010011")
def fcvt_s_d(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = boxed(f64_to_f32(s, s.f[rs1], mode))
    float_dirty(s)


@instruction("fcvt.d.s rd, rs1, rm", "0100001 00000 rs1 rm rd 1010011")
def fcvt_d_s(s, rd, rs1, rm):
    float_on(s)
    mode = rounding_mode(s, rm)
    s.f[rd] = f32_to_f64(s, unboxed(s.f[rs1]), mode)
    float_dirty(s)


@instruction("fsgnj.d rd, rs1, rs2", "0010001 rs2 rs1 000 rd 1010011")
def fsgnj_d(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = (s.f[rs1] & (SIGN - 1)) | (s.f[rs2] & SIGN)
    float_dirty(s)


@instruction("fsgnjn.d rd, rs1, rs2", "0010001 rs2 rs1 001 rd 1010011")
def fsgnjn_d(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = (s.f[rs1] & (SIGN - 1)) | (~s.f[rs2] & SIGN)
    float_dirty(s)


@instruction("fsgnjx.d rd, rs1, rs2", "0010001 rs2 rs1 010 rd 1010011")
def fsgnjx_d(s, rd, rs1, rs2):
    float_on(s)
    s.f[rd] = s.f[rs1] ^ (s.f[rs2] & SIGN)
    float_dirty(s)


@instruction("fmv.x.d rd, rs1", "1110001 00000 rs1 000 rd 1010011")
def fmv_x_d(s, rd, rs1):
    float_on(s)
    s.x[rd] = s.f[rs1]


@instruction("fmv.d.x rd, rs1", "1111001 00000 rs1 000 rd 1010011")
def fmv_d_x(s, rd, rs1):
    float_on(s)
    s.f[rd] = s.x[rs1]
    float_dirty(s)


# Compare Instructions


@instruction("feq.d rd, rs1, rs2", "1010001 rs2 rs1 010 rd 1010011")
def feq_d(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f64_equal(s, s.f[rs1], s.f[rs2])
    float_dirty(s)


@instruction("flt.d rd, rs1, rs2", "1010001 rs2 rs1 001 rd 1010011")
def flt_d(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f64_less(s, s.f[rs1], s.f[rs2])
    float_dirty(s)


@instruction("fle.d rd, rs1, rs2", "1010001 rs2 rs1 000 rd 1010011")
def fle_d(s, rd, rs1, rs2):
    float_on(s)
    s.x[rd] = f64_less_equal(s, s.f[rs1], s.f[rs2])
    float_dirty(s)


# Classify Instruction


@instruction("fclass.d rd, rs1", "1110001 00000 rs1 001 rd 1010011")
def fclass_d(s, rd, rs1):
    float_on(s)
    s.x[rd] = f64_classify(s, s.f[rs1])
