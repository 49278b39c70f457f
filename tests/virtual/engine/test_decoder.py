"""The native decoder against the patterns themselves, over all words of two bytes and random ones of four."""

from __future__ import annotations

import ctypes
import random

import pytest

from guesthouse.virtual.engine.decoder import stored_operands
from guesthouse.virtual.memory.code_page import SLOT
from tests.every_tier.engines import RISCV64, TOY, Rig


class Decoding:
    """The decoder of an instruction set, and what it leaves in a slot."""

    def __init__(self, module: str) -> None:
        self.rig = Rig("interpreter", module, 0x8000_0000, 1 << 16)
        self.isa = self.rig.isa
        self.slot = ctypes.create_string_buffer(SLOT)
        symbols = self.rig.engine.arena.symbols
        self.handlers = {symbols[f"handler.{i.name}"]: i for i in self.isa.instructions}

    def check(self, word: int) -> bool:
        """Compare with the patterns; whether there is such an instruction."""
        expected = next((i for i in self.isa.decode_order if i.pattern.matches(word)), None)
        self.slot.raw = bytes(SLOT)
        length = self.rig.engine.decode(ctypes.addressof(self.slot), word)
        if expected is None:
            assert length == 0, hex(word)
            return False
        handler = int.from_bytes(self.slot.raw[:8], "little")
        assert (length, self.handlers.get(handler)) == (expected.pattern.length, expected), hex(word)
        for stored in stored_operands(expected):
            data = self.slot.raw[stored.offset : stored.offset + stored.size]
            value = int.from_bytes(data, "little", signed=stored.operand.signed)
            assert value == stored.operand.extract(word), (hex(word), stored.operand.name)
        return True


@pytest.fixture(scope="module", params=(RISCV64, TOY), ids=("riscv64", "toy"))
def decoding(request):
    made = Decoding(request.param)
    yield made
    made.rig.close()


def test_every_first_half(decoding):
    found = sum(decoding.check(word) for word in range(1 << 16) if word & 3 != 3 or word % 37 == 0)
    assert found > 0


def test_random_words(decoding):
    rng = random.Random(1)
    longest = max(i.pattern.length for i in decoding.isa.instructions)
    assert 0 <= sum(decoding.check(rng.getrandbits(8 * longest)) for _ in range(5000)) <= 5000


def test_words_near_every_instruction(decoding):
    rng = random.Random(2)
    for instruction in decoding.isa.instructions:
        bits = 8 * instruction.pattern.length
        for _ in range(30):
            word = instruction.pattern.match | rng.getrandbits(bits) & ~instruction.pattern.mask
            decoding.check(word)
            decoding.check(word ^ 1 << rng.randrange(bits))
