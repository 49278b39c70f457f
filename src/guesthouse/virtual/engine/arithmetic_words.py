"""The arithmetic words of the language as IR."""

from __future__ import annotations

from guesthouse.virtual.engine.target_state import TargetState
from guesthouse.virtual.engine.values import U64, Refused, Value


class ArithmeticWords(TargetState):
    """Words that compute and touch nothing."""

    def _word_multiply_high(self, a: Value, b: Value) -> Value:
        kinds = ["zext" if v.unsigned else "sext" for v in (a, b)]
        x, y = (self.text.value(f"{k} i64 {v.ir} to i128") for k, v in zip(kinds, (a, b), strict=True))
        product = self.text.value(f"mul i128 {x}, {y}")
        high = self.text.value(f"lshr i128 {product}, 64")
        low, top = (a.low * b.low, a.high * b.high) if kinds == ["zext", "zext"] else (-(1 << 127), (1 << 127) - 1)
        return Value(self.text.value(f"trunc i128 {high} to i64"), low >> 64, top >> 64)

    def _division(self, a: Value, b: Value, rest: bool) -> Value:
        unsigned = a.unsigned and b.unsigned
        if not unsigned and not (a.signed and b.signed):
            raise Refused("divide words of one signedness")
        operation = ("u" if unsigned else "s") + ("rem" if rest else "div")
        zero = self.text.value(f"icmp eq i64 {b.ir}, 0")
        divisor = self.text.value(f"select i1 {zero}, i64 1, i64 {b.ir}")
        if not unsigned:
            # The one overflow: by -1 the quotient is the negation, which wraps; never let the host divide it.
            minus = self.text.value(f"icmp eq i64 {b.ir}, -1")
            divisor = self.text.value(f"select i1 {minus}, i64 1, i64 {divisor}")
        result = self.text.value(f"{operation} i64 {a.ir}, {divisor}")
        if not unsigned:
            negated = "0" if rest else self.text.value(f"sub i64 0, {a.ir}")
            result = self.text.value(f"select i1 {minus}, i64 {negated}, i64 {result}")
        result = self.text.value(f"select i1 {zero}, i64 {a.ir if rest else -1}, i64 {result}")
        if rest:
            return Value(result, min(a.low, 0), max(a.high, 0))
        # By zero all ones: in an unsigned division that is the word's largest value only modulo its width.
        return Value(result, -(1 << 64), (1 << 64) - 1)

    def _word_divide(self, a: Value, b: Value) -> Value:
        return self._division(a, b, rest=False)

    def _word_remainder(self, a: Value, b: Value) -> Value:
        return self._division(a, b, rest=True)

    def _extreme(self, a: Value, b: Value, kind: str) -> Value:
        prefix = "s" if a.signed and b.signed else "u" if a.unsigned and b.unsigned else ""
        if not prefix:
            raise Refused("compare words of one signedness")
        intrinsic = f"llvm.{prefix}{kind}.i64"
        function = self.module.declare(intrinsic, f"i64 @{intrinsic}(i64, i64)")
        chosen = min if kind == "min" else max
        low, high = chosen(a.low, b.low), chosen(a.high, b.high)
        return Value(self.text.value(f"call i64 {function}(i64 {a.ir}, i64 {b.ir})"), low, high)

    def _word_minimum(self, a: Value, b: Value) -> Value:
        return self._extreme(a, b, "min")

    def _word_maximum(self, a: Value, b: Value) -> Value:
        return self._extreme(a, b, "max")

    def _count_zeros(self, value: Value, width: Value, intrinsic: str) -> Value:
        bits = width.constant
        if bits not in (32, 64) or value.low < 0 or value.high >= 1 << bits:
            raise Refused("count in an unsigned word of 32 or 64 bits")
        name = f"llvm.{intrinsic}.i{bits}"
        function = self.module.declare(name, f"i{bits} @{name}(i{bits}, i1)")
        ir = value.ir if bits == 64 else self.text.value(f"trunc i64 {value.ir} to i32")
        count = self.text.value(f"call i{bits} {function}(i{bits} {ir}, i1 false)")
        if bits == 32:
            count = self.text.value(f"zext i32 {count} to i64")
        return Value(count, 0, bits)

    def _word_count_leading_zeros(self, value: Value, width: Value) -> Value:
        return self._count_zeros(value, width, "ctlz")

    def _word_count_trailing_zeros(self, value: Value, width: Value) -> Value:
        return self._count_zeros(value, width, "cttz")

    def _word_count_ones(self, value: Value) -> Value:
        function = self.module.declare("llvm.ctpop.i64", "i64 @llvm.ctpop.i64(i64)")
        return Value(self.text.value(f"call i64 {function}(i64 {value.ir})"), 0, 64)

    def _word_byte_swap(self, value: Value) -> Value:
        function = self.module.declare("llvm.bswap.i64", "i64 @llvm.bswap.i64(i64)")
        return Value(self.text.value(f"call i64 {function}(i64 {value.ir})"), 0, U64)
