"""Words that end a stretch of native code, and the runtime's own words for host memory (`spec.host_words`)."""

from __future__ import annotations

from guesthouse.virtual.engine.target_state import TargetState
from guesthouse.virtual.engine.values import U64, Value


class RuntimeWords(TargetState):
    """Words about the engine itself."""

    def _word_synchronize(self) -> None:
        """Nothing to write: lowering ends the stretch of native code after the instruction (Path.synchronizes)."""

    def _word_leave(self, reason: Value) -> None:
        self.store_field("exit_reason", reason.ir)

    def _host_pointer(self, address: Value) -> str:
        return self.text.value(f"inttoptr i64 {address.ir} to ptr")

    def _word_host_load(self, address: Value, size: Value) -> Value:
        bits = 8 * (size.constant or 0)
        return self._widened(self.text.value(f"load i{bits}, ptr {self._host_pointer(address)}, align 1"), bits)

    def _word_host_store(self, address: Value, size: Value, value: Value) -> None:
        bits = 8 * (size.constant or 0)
        ir = self._narrowed(value, bits)
        self.text.emit(f"store i{bits} {ir}, ptr {self._host_pointer(address)}, align 1")

    def _word_host_compare_exchange(self, address: Value, size: Value, expected: Value, desired: Value) -> Value:
        bits = 8 * (size.constant or 0)
        pair = self.text.value(
            f"cmpxchg ptr {self._host_pointer(address)}, i{bits} {self._narrowed(expected, bits)}, "
            f"i{bits} {self._narrowed(desired, bits)} seq_cst seq_cst"
        )
        done = self.text.value(f"extractvalue {{ i{bits}, i1 }} {pair}, 1")
        return Value(self.text.value(f"zext i1 {done} to i64"), 0, 1)

    def _word_host_nanoseconds(self) -> Value:
        text = self.text
        function = text.value(f"inttoptr i64 {self.read_field('clock_function').ir} to ptr")
        place = self.field_pointer("clock_time")
        text.emit(f"call i32 {function}(i32 1, ptr {place}) nounwind")
        seconds, rest = self.read_field("clock_time").ir, self.read_field("clock_rest").ir
        whole = text.value(f"mul i64 {seconds}, 1000000000")
        return Value(text.value(f"add i64 {whole}, {rest}"), 0, U64)

    def _word_host_sleep(self, microseconds: Value) -> None:
        function = self.text.value(f"inttoptr i64 {self.read_field('sleep_function').ir} to ptr")
        self.text.emit(f"call i32 {function}(i32 {self._narrowed(microseconds, 32)}) nounwind")

    def _word_host_decode(self, slot: Value, word: Value) -> Value:
        function = self.module.declare("decode", 'i64 @"decode"(ptr, i64) nounwind')
        return Value(self.text.value(f"call i64 {function}(ptr {self._host_pointer(slot)}, i64 {word.ir})"), 0, 15)

    def _word_host_handler(self, which: Value) -> Value:
        name = self.module.handler(f"handler.{which.ir}")
        return Value(self.text.value(f"ptrtoint ptr {name} to i64"), 0, U64)
