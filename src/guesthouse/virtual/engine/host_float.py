"""Floating-point words on the host's FPU, where it gives the same bits.

The words' own definitions (`spec.floating_point`, integers only) are the reference. Here the common case is done by one
host instruction: rounding to nearest, and a result that is not a NaN; everything else calls the definition. The host
accrues the flags; they are gathered into the state when the guest looks, or native code is left.
x86-64 detects tininess after rounding, as RISC-V does (Intel SDM volume 1, section 4.9.1.5).
"""

from __future__ import annotations

import platform
from collections.abc import Callable

from guesthouse.virtual.engine.target_state import TargetState
from guesthouse.virtual.engine.values import Value

AVAILABLE = platform.machine() in ("x86_64", "AMD64")
EXCEPTIONS = 'metadata !"fpexcept.strict"'
NEAREST = f'metadata !"round.tonearest", {EXCEPTIONS}'
KIND = {32: "float", 64: "double"}
WIDTH = {"float": 32, "double": 64}
SIGN = {32: 1 << 31, 64: 1 << 63}
BIAS = {32: 127, 64: 1023}
FRACTION_BITS = {32: 23, 64: 52}
# Patterns from which a magnitude may not fit a signed integer of that many bits.
TOO_LARGE = {(width, size): (BIAS[width] + size - 1) << FRACTION_BITS[width] for width in (32, 64) for size in (32, 64)}
TOWARDS_ZERO = 1

OPERATIONS = {
    "add": ("fadd", 2),
    "subtract": ("fsub", 2),
    "multiply": ("fmul", 2),
    "divide": ("fdiv", 2),
    "square_root": ("sqrt", 1),
    "multiply_add": ("fma", 3),
}
COMPARISONS = {"equal": ("fcmp", "oeq"), "less": ("fcmps", "olt"), "less_equal": ("fcmps", "ole")}

Slow = Callable[[], Value]


def host_form(target: TargetState, name: str, arguments: list[Value], slow: Slow) -> Value | None:
    """Write a word's host form; None where it has none. `slow` writes the call of its definition."""
    if not AVAILABLE:
        return None
    form, _, operation = name.partition("_")
    if operation in OPERATIONS and form in ("f32", "f64"):
        return _arithmetic(target, int(form[1:]), operation, arguments, slow)
    if operation in COMPARISONS and form in ("f32", "f64"):
        return _comparison(target, int(form[1:]), operation, arguments)
    if name in ("f32_to_f64", "f64_to_f32"):
        return _format(target, int(form[1:]), arguments, slow)
    source, _, wanted = name.partition("_to_")
    if source in ("f32", "f64") and wanted in ("s32", "s64"):
        return _to_integer(target, int(source[1:]), int(wanted[1:]), arguments, slow)
    if source in ("s32", "s64", "u32") and wanted in ("f32", "f64"):
        return _from_integer(target, int(wanted[1:]), arguments, slow)
    return None


def _float(target: TargetState, value: Value, width: int) -> str:
    ir = value.ir if width == 64 else target.text.value(f"trunc i64 {value.ir} to i32")
    return target.text.value(f"bitcast i{width} {ir} to {KIND[width]}")


def _bits(target: TargetState, ir: str, width: int) -> str:
    text = target.text
    bits = text.value(f"bitcast {KIND[width]} {ir} to i{width}")
    text.known[f"bitcast i{width} {bits} to {KIND[width]}"] = ir  # and back again
    if width == 64:
        return bits
    wide = text.value(f"zext i32 {bits} to i64")
    text.known[f"trunc i64 {wide} to i32"] = bits
    return wide


def _value(target: TargetState, ir: str, width: int) -> Value:
    return Value(_bits(target, ir, width), 0, (1 << width) - 1)


def _intrinsic(target: TargetState, name: str, result: str, kinds: str) -> str:
    return target.module.declare(name, f"{result} @{name}({kinds})")


def _guarded(target: TargetState, good: str, slow: Slow, fast: Callable[[], str], kind: str, nan: bool) -> str:
    """What `fast` gives, of LLVM type `kind`; what `slow` gives where `good` fails, or with `nan` it is a NaN."""
    text, known = target.text, target.text.known
    definition, join = text.fresh("soft"), text.fresh("float")
    if good != "true":
        begin = text.fresh("host")
        text.branch(good, begin, definition, likely=True)
        text.begin(begin, dict(known))
    result = fast()
    ends = [(result, text.block)]
    if nan:
        text.branch(_is_nan(target, result, kind), definition, join, likely=False)
    else:
        text.end(f"br label %{join}")
    with text.cold(definition):
        soft = slow()
        ends.append((soft.ir if kind == "i64" else _float(target, soft, WIDTH[kind]), text.block))
        text.end(f"br label %{join}")
    text.begin(join, known)
    return text.value(f"phi {kind} " + ", ".join(f"[ {ir}, %{block} ]" for ir, block in ends))


def _is_nan(target: TargetState, ir: str, kind: str) -> str:
    """i1: whether a result, which is no signaling one, is a NaN."""
    name = f"llvm.experimental.constrained.fcmp.f{WIDTH[kind]}"
    function = _intrinsic(target, name, "i1", f"{kind}, {kind}, metadata, metadata")
    passed = f'{kind} {ir}, {kind} {ir}, metadata !"uno", {EXCEPTIONS}'
    return target.text.value(f"call i1 {function}({passed}) strictfp")


def _rounds_to(target: TargetState, rounding: Value, mode: int) -> str:
    if rounding.constant is not None:
        return "true" if rounding.constant == mode else "false"
    return target.text.value(f"icmp eq i64 {rounding.ir}, {mode}")


def _arithmetic(target: TargetState, width: int, operation: str, arguments: list[Value], slow: Slow) -> Value:
    name, count = OPERATIONS[operation]
    kind = KIND[width]

    def fast() -> str:
        operands = [_float(target, value, width) for value in arguments[:count]]
        intrinsic = f"llvm.experimental.constrained.{name}.f{width}"
        kinds = ", ".join([kind] * count + ["metadata", "metadata"])
        function = _intrinsic(target, intrinsic, kind, kinds)
        passed = ", ".join(f"{kind} {operand}" for operand in operands)
        return target.text.value(f"call {kind} {function}({passed}, {NEAREST}) strictfp")

    found = _guarded(target, _rounds_to(target, arguments[count], 0), slow, fast, kind, nan=True)
    return _value(target, found, width)


def _comparison(target: TargetState, width: int, operation: str, arguments: list[Value]) -> Value:
    """The host's ordered comparisons raise the same flags: `fcmps` on any NaN, `fcmp` on signaling ones."""
    name, predicate = COMPARISONS[operation]
    kind = KIND[width]
    intrinsic = f"llvm.experimental.constrained.{name}.f{width}"
    function = _intrinsic(target, intrinsic, "i1", f"{kind}, {kind}, metadata, metadata")
    a, b = (_float(target, value, width) for value in arguments)
    passed = f'{kind} {a}, {kind} {b}, metadata !"{predicate}", {EXCEPTIONS}'
    holds = target.text.value(f"call i1 {function}({passed}) strictfp")
    return Value(target.text.value(f"zext i1 {holds} to i64"), 0, 1)


def _format(target: TargetState, width: int, arguments: list[Value], slow: Slow) -> Value:
    other = 96 - width

    def fast() -> str:
        operand = _float(target, arguments[0], width)
        name = "fpext.f64.f32" if width == 32 else "fptrunc.f32.f64"
        extra = EXCEPTIONS if width == 32 else NEAREST
        kinds = f"{KIND[width]}, metadata" + (", metadata" if width == 64 else "")
        function = _intrinsic(target, f"llvm.experimental.constrained.{name}", KIND[other], kinds)
        call = f"call {KIND[other]} {function}({KIND[width]} {operand}, {extra}) strictfp"
        return target.text.value(call)

    good = "true" if width == 32 else _rounds_to(target, arguments[1], 0)
    return _value(target, _guarded(target, good, slow, fast, KIND[other], nan=True), other)


def _to_integer(target: TargetState, width: int, size: int, arguments: list[Value], slow: Slow) -> Value:
    text = target.text
    truncates = _rounds_to(target, arguments[1], TOWARDS_ZERO)
    magnitude = text.value(f"and i64 {arguments[0].ir}, {SIGN[width] - 1}")
    fits = text.value(f"icmp ult i64 {magnitude}, {TOO_LARGE[width, size]}")

    def fast() -> str:
        operand = _float(target, arguments[0], width)
        name = f"llvm.experimental.constrained.fptosi.i{size}.f{width}"
        function = _intrinsic(target, name, f"i{size}", f"{KIND[width]}, metadata")
        result = text.value(f"call i{size} {function}({KIND[width]} {operand}, {EXCEPTIONS}) strictfp")
        return result if size == 64 else text.value(f"sext i32 {result} to i64")

    good = text.value(f"and i1 {truncates}, {fits}")
    found = _guarded(target, good, slow, fast, "i64", nan=False)
    return Value(found, -(1 << (size - 1)), (1 << (size - 1)) - 1)


def _from_integer(target: TargetState, width: int, arguments: list[Value], slow: Slow) -> Value:
    def fast() -> str:
        name = f"llvm.experimental.constrained.sitofp.f{width}.i64"
        function = _intrinsic(target, name, KIND[width], "i64, metadata, metadata")
        call = f"call {KIND[width]} {function}(i64 {arguments[0].ir}, {NEAREST}) strictfp"
        return target.text.value(call)

    found = _guarded(target, _rounds_to(target, arguments[1], 0), slow, fast, KIND[width], nan=False)
    return _value(target, found, width)


# The host's flags: IE 1, DE 2, ZE 4, OE 8, UE 16, PE 32 in MXCSR, all masked, rounding to nearest.
MXCSR_CLEAR = 0x1F80
CONTROL = f"""
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define dso_local void @"float.begin"(ptr %s) nounwind {{
  %slot = alloca i32
  %host = getelementptr i8, ptr %s, i64 HOST_FLOAT
  call void @llvm.x86.sse.stmxcsr(ptr %host)
  store i32 {MXCSR_CLEAR}, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  ret void
}}

define dso_local void @"float.end"(ptr %s) nounwind {{
  call void @"float.gather"(ptr %s)
  %host = getelementptr i8, ptr %s, i64 HOST_FLOAT
  call void @llvm.x86.sse.ldmxcsr(ptr %host)
  ret void
}}

define dso_local void @"float.gather"(ptr %s) nounwind {{
  %slot = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %slot)
  %word = load i32, ptr %slot
  %accrued = and i32 %word, 61
  %none = icmp eq i32 %accrued, 0
  br i1 %none, label %done, label %some
some:
  store i32 {MXCSR_CLEAR}, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  %wide = zext i32 %word to i64
  %invalid = and i64 %wide, 1
  %invalid.at = shl i64 %invalid, 4
  %zero = and i64 %wide, 4
  %zero.at = shl i64 %zero, 1
  %over = and i64 %wide, 8
  %over.at = lshr i64 %over, 1
  %under = and i64 %wide, 16
  %under.at = lshr i64 %under, 3
  %inexact = and i64 %wide, 32
  %inexact.at = lshr i64 %inexact, 5
  %or1 = or i64 %invalid.at, %zero.at
  %or2 = or i64 %or1, %over.at
  %or3 = or i64 %or2, %under.at
  %or4 = or i64 %or3, %inexact.at
  %place = getelementptr i8, ptr %s, i64 FLOAT_FLAGS
  %old = load i64, ptr %place
  %new = or i64 %old, %or4
  store i64 %new, ptr %place
  br label %done
done:
  ret void
}}
"""
NOTHING = """
define dso_local void @"float.begin"(ptr %s) nounwind {
  ret void
}
define dso_local void @"float.end"(ptr %s) nounwind {
  ret void
}
define dso_local void @"float.gather"(ptr %s) nounwind {
  ret void
}
"""
SYMBOLS = ("float.begin", "float.end", "float.gather")


def control_text(host_float: int, float_flags: int) -> str:
    """The functions that own the host's control word, with the places of two state fields (bytes)."""
    text = CONTROL if AVAILABLE else NOTHING
    return text.replace("HOST_FLOAT", str(host_float)).replace("FLOAT_FLAGS", str(float_flags))
