"""The native decoder: a tree of switches over an instruction set's patterns, written as LLVM IR."""

from __future__ import annotations

import msgspec

from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.module import Module, alias
from guesthouse.virtual.engine.values import Refused, constant
from guesthouse.virtual.memory.code_page import COUNTER, OPERANDS
from guesthouse.virtual.spec.description import Instruction, Isa
from guesthouse.virtual.spec.encoding import Operand

OPERAND_BYTES = COUNTER - OPERANDS


class Stored(msgspec.Struct, frozen=True):
    """Where a decoded operand lies in its slot: offset and size in bytes."""

    operand: Operand
    offset: int
    size: int


def stored_operands(instruction: Instruction) -> list[Stored]:
    """Places of the operands that the function takes; raises Refused where they don't fit a slot."""
    wanted = [instruction.pattern.operand(name) for name in instruction.parameters]
    placed, at = [], 0
    for operand in sorted(wanted, key=lambda o: -_size(o)):
        size = _size(operand)
        placed.append(Stored(operand, OPERANDS + at, size))
        at += size
    if at > OPERAND_BYTES:
        raise Refused(f"{instruction.mnemonic}: its operands need {at} bytes of a slot's {OPERAND_BYTES}")
    return placed


def _size(operand: Operand) -> int:
    bits = max(operand.high.bit_length(), (~operand.low).bit_length() + 1 if operand.signed else 0)
    return next(n for n in (1, 2, 4, 8) if bits <= 8 * n)


def build_decoder(isa: Isa, module: Module) -> None:
    """Define `decode(slot, word)`: fills the slot, gives the instruction's length or 0 where none matches."""
    text = FunctionText('define i64 @"decode"(ptr %slot, i64 %word) nounwind')
    _select(text, module, isa.decode_order, 0)
    module.add("decode", text)


def _select(text: FunctionText, module: Module, instructions: list[Instruction], known: int) -> None:
    """Write the choice among instructions whose bits in `known` have matched already."""
    if not instructions:
        text.end("ret i64 0")
        return
    common = ~known & ((1 << 64) - 1)
    for instruction in instructions:
        common &= instruction.pattern.mask
    if not common:
        _try_first(text, module, instructions, known)
        return
    groups: dict[int, list[Instruction]] = {}
    for instruction in instructions:
        groups.setdefault(instruction.pattern.match & common, []).append(instruction)
    bits = text.value(f"and i64 %word, {constant(common).ir}")
    labels = {value: text.fresh("bits") for value in groups}
    arms = " ".join(f"i64 {constant(value).ir}, label %{label}" for value, label in labels.items())
    none = text.fresh("none")
    text.end(f"switch i64 {bits}, label %{none} [ {arms} ]")
    text.begin(none)
    text.end("ret i64 0")
    for value, group in groups.items():
        text.begin(labels[value])
        _select(text, module, group, known | common)


def _try_first(text: FunctionText, module: Module, instructions: list[Instruction], known: int) -> None:
    """Write a test of the most specific instruction, then of the others."""
    first, rest = instructions[0], instructions[1:]
    pattern, otherwise = first.pattern, text.fresh("other")
    left = pattern.mask & ~known
    if left:
        bits, match = text.value(f"and i64 %word, {constant(left).ir}"), text.fresh("match")
        same = text.value(f"icmp eq i64 {bits}, {constant(pattern.match & left).ir}")
        text.branch(same, match, otherwise)
        text.begin(match)
    for operand in pattern.operands:
        for excluded in operand.excluded:
            value = _extract(text, operand)
            clash, fine = text.value(f"icmp eq i64 {value}, {excluded}"), text.fresh("fine")
            text.branch(clash, otherwise, fine)
            text.begin(fine)
    _fill(text, module, first)
    if left or any(operand.excluded for operand in pattern.operands):
        text.begin(otherwise)
        _select(text, module, rest, known)


def _extract(text: FunctionText, operand: Operand) -> str:
    value = "0"
    for piece in operand.pieces:
        part = text.value(f"lshr i64 %word, {piece.at}")
        part = text.value(f"and i64 {part}, {(1 << piece.width) - 1}")
        part = text.value(f"shl i64 {part}, {piece.to}")
        value = text.value(f"or i64 {value}, {part}")
    if operand.signed:
        value = text.value(f"shl i64 {value}, {64 - operand.bits}")
        value = text.value(f"ashr i64 {value}, {64 - operand.bits}")
    return text.value(f"add i64 {value}, {operand.bias}") if operand.bias else value


def handler_symbol(instruction: Instruction) -> str:
    """Name of an instruction's handler in native code."""
    return f"handler.{instruction.name}"


def _fill(text: FunctionText, module: Module, instruction: Instruction) -> None:
    for stored in stored_operands(instruction):
        value = _extract(text, stored.operand)
        narrow = value if stored.size == 8 else text.value(f"trunc i64 {value} to i{8 * stored.size}")
        place = text.value(f"getelementptr i8, ptr %slot, i64 {stored.offset}")
        text.emit(f"store i{8 * stored.size} {narrow}, ptr {place}{alias('slots')}")
    text.emit(f"store ptr {module.handler(handler_symbol(instruction))}, ptr %slot{alias('slots')}")
    text.end(f"ret i64 {instruction.pattern.length}")
