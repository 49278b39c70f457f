"""The words for guest memory as IR: a probe of the shadow page table inline, a call of the runtime where it misses.

Plain accesses are `unordered` atomic: LLVM may not tear them, nor move a guest's spinning load out of its loop. On an
x86-64 host they are plain moves, whose order is stronger than RVWMO's but for a load that passes an earlier store.

A reservation is an address and the value found there, and SC is a compare and exchange. So it succeeds where another
processor has stored other values and then that one again; RISC-V would have it fail. No algorithm that is right under
RISC-V's own compare and swap (Zacas) is wrong with that. A trap ends the reservation.
"""

from __future__ import annotations

from guesthouse.virtual.engine.module import alias
from guesthouse.virtual.engine.target_state import TargetState
from guesthouse.virtual.engine.values import Value, constant
from guesthouse.virtual.memory.shadow import ADDEND, ENTRIES, READ_TAG, WRITE_TAG

ATOMIC_OPERATIONS = {
    "atomic_exchange": "xchg",
    "atomic_add": "add",
    "atomic_and": "and",
    "atomic_or": "or",
    "atomic_xor": "xor",
    "atomic_min": "min",
    "atomic_max": "max",
    "atomic_min_unsigned": "umin",
    "atomic_max_unsigned": "umax",
}


class MemoryWords(TargetState):
    """Words that load, store and synchronise with other processors and devices."""

    # --- the shadow page table ----------------------------------------------------------------------------------------

    def data_bank(self) -> str:
        """The present bank of the shadow page table, as a pointer."""
        return self.text.value(f"inttoptr i64 {self.read_field('data_bank').ir} to ptr")

    def _probe(self, address: Value, size: int, tag_offset: int, missed: str) -> tuple[str, dict[str, str]]:
        """Host pointer of an aligned access that hits; control goes to the block `missed` where it does not.

        Gives also what is known on either way.
        """
        addend, known = self._look(address.ir, address.ir, size, tag_offset, missed)
        place = self.text.value(f"add i64 {address.ir}, {addend}")
        return self.text.value(f"inttoptr i64 {place} to ptr"), known

    def _look(self, first: str, last: str, align: int, tag_offset: int, missed: str) -> tuple[str, dict[str, str]]:
        """Host minus guest address of the page that two aligned addresses less than a page apart share; else `missed`.

        The entry is the first one's: the tag of the page behind is never there. Gives also what is known on either way.
        """
        text = self.text
        page = text.value(f"lshr i64 {first}, 12")
        index = text.value(f"and i64 {page}, {ENTRIES - 1}")
        entry = text.value(f"getelementptr i64, ptr {self.data_bank()}, i64 {index}")
        tag_place = text.value(f"getelementptr i8, ptr {entry}, i64 {tag_offset}") if tag_offset else entry
        tag = text.value(f"load i64, ptr {tag_place}{alias('shadow')}")
        # Bits that misaligned addresses set are compared too, so they miss.
        page = text.value(f"and i64 {last}, {constant(~0xFFF | (align - 1)).ir}")
        hit, found = text.value(f"icmp eq i64 {tag}, {page}"), text.fresh("hit")
        text.branch(hit, found, missed, likely=True)
        known = text.known
        text.begin(found, dict(known))
        addend_place = text.value(f"getelementptr i8, ptr {entry}, i64 {ADDEND}")
        return text.value(f"load i64, ptr {addend_place}{alias('shadow')}"), known

    # --- loads and stores ---------------------------------------------------------------------------------------------

    def _word_load(self, address: Value, size: Value) -> Value:
        text, bits = self.text, 8 * (size.constant or 0)
        missed, join = text.fresh("missed"), text.fresh("loaded")
        place, known = self._probe(address, bits // 8, READ_TAG, missed)
        value = text.value(f"load atomic i{bits}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        if bits < 64:
            value = text.value(f"zext i{bits} {value} to i64")
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            slow = self.slow_load(address, size)
            if bits < 64:
                slow = Value(text.value(f"and i64 {slow.ir}, {(1 << bits) - 1}"), 0, (1 << bits) - 1)
            slow_end = text.block
            text.end(f"br label %{join}")
        text.begin(join, known)
        phi = text.value(f"phi i64 [ {value}, %{fast} ], [ {slow.ir}, %{slow_end} ]")
        return Value(phi, 0, (1 << bits) - 1)

    def _word_store(self, address: Value, size: Value, value: Value) -> None:
        text, bits = self.text, 8 * (size.constant or 0)
        missed, join = text.fresh("missed"), text.fresh("stored")
        place, known = self._probe(address, bits // 8, WRITE_TAG, missed)
        ir = self._narrowed(value, bits)
        text.emit(f"store atomic i{bits} {ir}, ptr {place} unordered, align {bits // 8}{alias('guest')}")
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            self.slow_store(address, size, value)
            slow = text.block
            text.end(f"br label %{join}")
        text.begin(join, known)
        self.after_store(fast, slow)

    def slow_load(self, address: Value, size: Value) -> Value:
        """Load what the fast path could not."""
        value = self.call_runtime("slow_load", [address, size])
        assert value is not None
        return value

    def slow_store(self, address: Value, size: Value, value: Value) -> None:
        """Store what the fast path could not."""
        self.call_runtime("slow_store", [address, size, value])

    def after_store(self, fast: str | None, slow: str | None) -> None:
        """Where the fast and the slow way of a store (ending in these blocks) have met."""

    # --- atomic accesses ----------------------------------------------------------------------------------------------

    def _atomic_pointer(self, address: Value, size: Value) -> str:
        text = self.text
        missed, join = text.fresh("missed"), text.fresh("placed")
        fast_place, known = self._probe(address, size.constant or 0, WRITE_TAG, missed)
        fast = text.block
        text.end(f"br label %{join}")
        with text.cold(missed):
            slow = self.call_runtime("atomic_place", [address, size])
            assert slow is not None
            slow_place = text.value(f"inttoptr i64 {slow.ir} to ptr")
            slow_end = text.block
            text.end(f"br label %{join}")
        text.begin(join, known)
        place = text.value(f"phi ptr [ {fast_place}, %{fast} ], [ {slow_place}, %{slow_end} ]")
        self.after_store(fast, slow_end)
        return place

    def _atomic(self, operation: str, address: Value, size: Value, value: Value) -> Value:
        bits = 8 * (size.constant or 0)
        place = self._atomic_pointer(address, size)
        ir = self._narrowed(value, bits)
        old = self.text.value(f"atomicrmw {operation} ptr {place}, i{bits} {ir} seq_cst{alias('guest')}")
        return self._widened(old, bits)

    def _word_load_reserved(self, address: Value, size: Value) -> Value:
        value = self._word_load(address, size)
        self.store_field("reservation_address", address.ir)
        self.store_field("reservation_value", value.ir)
        return value

    def _word_store_conditional(self, address: Value, size: Value, value: Value) -> Value:
        text, bits = self.text, 8 * (size.constant or 0)
        place = self._atomic_pointer(address, size)
        held = text.value(f"icmp eq i64 {self.read_field('reservation_address').ir}, {address.ir}")
        attempt, join = text.fresh("attempt"), text.fresh("attempted")
        before = text.block
        text.branch(held, attempt, join)
        text.begin(attempt)
        expected = self._narrowed(self.read_field("reservation_value"), bits)
        desired = self._narrowed(value, bits)
        pair = text.value(f"cmpxchg ptr {place}, i{bits} {expected}, i{bits} {desired} seq_cst seq_cst{alias('guest')}")
        done = text.value(f"extractvalue {{ i{bits}, i1 }} {pair}, 1")
        failed = text.value(f"select i1 {done}, i64 0, i64 1")
        text.begin(join)
        result = text.value(f"phi i64 [ 1, %{before} ], [ {failed}, %{attempt} ]")
        self.store_field("reservation_address", "-1")
        return Value(result, 0, 1)

    def _word_fence(self) -> None:
        self.text.emit("fence seq_cst")

    def _word_fence_acquire_release(self) -> None:
        """On an x86-64 host nothing at all: it only keeps LLVM from moving accesses."""
        self.text.emit("fence acq_rel")
