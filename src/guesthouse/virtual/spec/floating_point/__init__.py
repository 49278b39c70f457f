"""Floating-point arithmetic in the semantics language, of integers only: the words that instructions use.

Source: IEEE 754-2019, with the choices of The RISC-V Instruction Set Manual, volume I, chapters "F" and "D".

Values are bit patterns as unsigned integers, results bit for bit, flags accrue in `s.float_flags` (see `Flag`),
`rounding` is one of `Rounding`. Every word is complete by itself: an engine may do the common case another way.
"""

from guesthouse.virtual.spec.floating_point.addition import (
    f32_add,
    f32_subtract,
    f64_add,
    f64_subtract,
)
from guesthouse.virtual.spec.floating_point.classification import (
    f32_classify,
    f64_classify,
)
from guesthouse.virtual.spec.floating_point.comparison import (
    f32_equal,
    f32_less,
    f32_less_equal,
    f32_max,
    f32_min,
    f64_equal,
    f64_less,
    f64_less_equal,
    f64_max,
    f64_min,
)
from guesthouse.virtual.spec.floating_point.conversion import (
    f32_to_f64,
    f32_to_s32,
    f32_to_s64,
    f32_to_u32,
    f32_to_u64,
    f64_to_f32,
    f64_to_s32,
    f64_to_s64,
    f64_to_u32,
    f64_to_u64,
    s32_to_f32,
    s32_to_f64,
    s64_to_f32,
    s64_to_f64,
    u32_to_f32,
    u32_to_f64,
    u64_to_f32,
    u64_to_f64,
)
from guesthouse.virtual.spec.floating_point.division import (
    f32_divide,
    f64_divide,
)
from guesthouse.virtual.spec.floating_point.formats import (
    Flag,
    Rounding,
)
from guesthouse.virtual.spec.floating_point.fused import (
    f32_multiply_add,
    f64_multiply_add,
)
from guesthouse.virtual.spec.floating_point.multiplication import (
    f32_multiply,
    f64_multiply,
)
from guesthouse.virtual.spec.floating_point.square_root import (
    f32_square_root,
    f64_square_root,
)

__all__ = [
    "Flag",
    "Rounding",
    "f32_add",
    "f32_classify",
    "f32_divide",
    "f32_equal",
    "f32_less",
    "f32_less_equal",
    "f32_max",
    "f32_min",
    "f32_multiply",
    "f32_multiply_add",
    "f32_square_root",
    "f32_subtract",
    "f32_to_f64",
    "f32_to_s32",
    "f32_to_s64",
    "f32_to_u32",
    "f32_to_u64",
    "f64_add",
    "f64_classify",
    "f64_divide",
    "f64_equal",
    "f64_less",
    "f64_less_equal",
    "f64_max",
    "f64_min",
    "f64_multiply",
    "f64_multiply_add",
    "f64_square_root",
    "f64_subtract",
    "f64_to_f32",
    "f64_to_s32",
    "f64_to_s64",
    "f64_to_u32",
    "f64_to_u64",
    "s32_to_f32",
    "s32_to_f64",
    "s64_to_f32",
    "s64_to_f64",
    "u32_to_f32",
    "u32_to_f64",
    "u64_to_f32",
    "u64_to_f64",
]
