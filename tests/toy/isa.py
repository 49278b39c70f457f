"""A toy instruction set: bytes instead of bit fields, flags, a stack, ten instructions of 1 to 6 bytes.

It shows what an engine may not assume. Encodings are written as the bytes are stored: `60 rd:rs disp32` is the byte
0x60, a byte with two operands (high nibble first), and four bytes of displacement, least significant first; `4~rs` is a
byte with the fixed high nibble 4.
"""

from __future__ import annotations

import re

from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.encoding import Operand, Pattern, Piece
from guesthouse.virtual.spec.layout import Field, RegisterFile, StateLayout
from guesthouse.virtual.spec.words import State, Trap, fetched, flag, load, store, u32, u64

ZERO, CARRY, SIGN = 1, 2, 4
ILLEGAL, NO_ACCESS = 1, 2
ALL_RIGHTS = 7
# Bytes of an instruction by the high nibble of its first byte; 1 where there is none.
LENGTHS = (1, 2, 5, 3, 1, 1, 6, 3, 1, 1, 1, 1, 1, 1, 1, 1)


class Bytes:
    """The grammar of encodings as byte sequences."""

    NUMBER = re.compile(r"(?P<name>[a-z]+)(?P<bits>8|16|32)$")

    def pattern(self, text: str) -> Pattern:
        """Read one encoding; raises ValueError with the reason where it is malformed."""
        at = mask = match = 0
        operands: list[Operand] = []
        for token in text.split():
            if re.fullmatch("[0-9A-F]{2}", token):
                mask |= 0xFF << at
                match |= int(token, 16) << at
                at += 8
            elif found := re.fullmatch("([0-9A-F])~([a-z]+)", token):
                mask |= 0xF0 << at
                match |= int(found[1], 16) << at + 4
                operands.append(Operand(found[2], (Piece(at, 4, 0),), 4))
                at += 8
            elif found := re.fullmatch("([a-z]+):([a-z]+)", token):
                operands.append(Operand(found[1], (Piece(at + 4, 4, 0),), 4))
                operands.append(Operand(found[2], (Piece(at, 4, 0),), 4))
                at += 8
            elif found := self.NUMBER.fullmatch(token):
                bits = int(found["bits"])
                operands.append(Operand(found["name"], (Piece(at, bits, 0),), bits, found["name"] == "rel"))
                at += bits
            else:
                raise ValueError(f"cannot read '{token}' in an encoding")
        return Pattern(at // 8, mask, match, tuple(operands))


LAYOUT = StateLayout(
    RegisterFile("r", 16, bits=32, names=tuple(f"r{n}" for n in range(16)), doc="registers"),
    Field("sp", bits=32, doc="stack pointer: the stack grows down"),
    Field("flags", bits=3, doc="zero 1, carry 2, sign 4"),
    Field("vector", bits=32, doc="where traps go"),
    Field("cause", doc="of the last trap"),
    Field("value", doc="of the last trap"),
    Field("fault_pc", doc="of the last trap"),
)

ISA = Isa("toy", LAYOUT, Bytes(), unit=1, longest=6, contexts=1)
instruction = ISA.instruction
hook = ISA.hook


@hook
def reset(s: State) -> None:
    """Flags read "zero" at first, so that something is not zero."""
    s.flags = ZERO


@hook
def take_trap(s: State, cause: u64, value: u64) -> None:
    """Remember the trap and go to the vector."""
    s.cause = cause
    s.value = value
    s.fault_pc = s.pc
    s.pc = s.vector


@hook
def poll(s: State) -> None:
    """There are no interrupts."""
    s.attention = 0


@hook
def illegal(s: State) -> None:
    """Raise the trap of an undefined encoding; its value is the bytes."""
    raise Trap(ILLEGAL, fetched(s))


@hook
def translate(s: State, address: u64, size: u64, access: u64, context: u64) -> u64:
    """Physical is virtual, with all rights."""
    return address & ~0xFFF | ALL_RIGHTS


@hook
def access_fault(s: State, address: u64, access: u64) -> None:
    """Raise the trap of an access that nothing answers."""
    raise Trap(NO_ACCESS + access, address)


@hook
def fence_range(s: State, address: u64, pages: u64, space: u64) -> None:
    """There is nothing to forget."""


@hook
def data_context(s: State) -> u64:
    """There is one context."""
    return 0


@hook
def fetch_context(s: State) -> u64:
    """There is one context."""
    return 0


@hook
def length(first: u64) -> u64:
    """Bytes of an instruction, by its first one."""
    return LENGTHS[first >> 4 & 15]


def set_flags(s: State, result: u64, carry: flag) -> None:
    """Flags of a 32-bit result."""
    zero = ZERO if result == 0 else 0
    sign = SIGN if result >> 31 != 0 else 0
    s.flags = zero | sign | (CARRY if carry else 0)


def holds(s: State, cond: u64) -> flag:
    """Conditions: 0 always, 1 zero, 2 carry, 3 sign, 4 sign or zero; from 8 on the opposite."""
    flags = s.flags
    met = 1
    match cond & 7:
        case 0:
            met = 1
        case 1:
            met = flags & ZERO
        case 2:
            met = flags >> 1 & 1
        case 3:
            met = flags >> 2 & 1
        case _:
            met = 1 if flags & (ZERO | SIGN) != 0 else 0
    return met ^ (cond >> 3 & 1)


@instruction("add rd, rs", "10 rd:rs")
def add(s, rd, rs):
    total = s.r[rd] + s.r[rs]
    s.r[rd] = total
    set_flags(s, u32(total), total > 0xFFFF_FFFF)


@instruction("sub rd, rs", "11 rd:rs")
def sub(s, rd, rs):
    left = s.r[rd]
    right = s.r[rs]
    s.r[rd] = left - right
    set_flags(s, u32(left - right), left < right)


@instruction("li rd, imm", "2~rd imm32")
def li(s, rd, imm):
    s.r[rd] = imm


@instruction("j cond, rel", "3~cond rel16")
def j(s, cond, rel):
    if holds(s, cond):
        s.next_pc = u32(s.next_pc + rel)


@instruction("push rs", "4~rs")
def push(s, rs):
    store(s, u32(s.sp - 4), 4, s.r[rs])
    s.sp -= 4


@instruction("pop rd", "5~rd")
def pop(s, rd):
    value = load(s, s.sp, 4)
    s.r[rd] = value
    s.sp += 4


@instruction("store rd, disp, rs", "60 rd:rs disp32")
def store_word(s, rd, disp, rs):
    store(s, u32(s.r[rs] + disp), 4, s.r[rd])


@instruction("load rd, disp, rs", "61 rd:rs disp32")
def load_word(s, rd, disp, rs):
    s.r[rd] = load(s, u32(s.r[rs] + disp), 4)


@instruction("call rel", "70 rel16")
def call(s, rel):
    store(s, u32(s.sp - 4), 4, u32(s.next_pc))
    s.sp -= 4
    s.next_pc = u32(s.next_pc + rel)


@instruction("ret", "80")
def ret(s):
    target = load(s, s.sp, 4)
    s.sp += 4
    s.next_pc = target
