import pytest

from guesthouse.virtual.engine.explanation import (
    handler_module,
    handler_text,
    loop_round,
    region_text,
    sample_operands,
    stencil_texts,
    translated_text,
)
from guesthouse.virtual.isa.riscv64 import ISA
from tests.virtual.machine.programs import assembled


def test_a_module_declares_what_the_handler_calls() -> None:
    ir = handler_module(ISA.by_name["lw"])
    assert '@"memory.shadow.slow_load"' in ir
    assert ir.count("define ") == 1


def test_three_texts_of_one_handler() -> None:
    text = handler_text(ISA.by_name["beq"])
    for ir in (text.lowered, text.optimised):
        assert ir.startswith("define ") and ir.endswith("}") and "!tbaa" not in ir
        assert "icmp eq i64" in ir
    assert len(text.optimised) != len(text.lowered)
    assert text.host.startswith("handler.beq:\n") and "\t" not in text.host
    assert not any(line.strip().startswith((".cfi", ".p2align")) for line in text.host.splitlines())


@pytest.mark.parametrize("name", sorted(ISA.by_name))
def test_sample_operands_make_this_very_instruction(name: str) -> None:
    instruction = ISA.by_name[name]
    values = sample_operands(instruction)
    word = instruction.pattern.encode(values)
    assert next(i for i in ISA.decode_order if i.pattern.matches(word)) is instruction
    assert instruction.pattern.decode(word) == values


def test_the_translator_has_operands_as_constants() -> None:
    text = translated_text(ISA.by_name["addi"])
    assert text is not None and text.operands == "imm = 10, rd = 11, rs1 = 12"
    assert ", 10" in text.lowered and "%slot, i64 8" not in text.lowered, "no operand is loaded"
    assert text.host.startswith("region:")


def test_a_loop_keeps_its_registers_in_the_hosts() -> None:
    addi, bne = (ISA.by_name[name].pattern for name in ("addi", "bne"))
    words = (addi.encode({"rd": 11, "rs1": 11, "imm": 8}), bne.encode({"rs1": 11, "rs2": 12, "offset": -4}))
    text = region_text(ISA, b"".join(word.to_bytes(4, "little") for word in words))
    assert text is not None
    loop = text.optimised.split("\nb0:")[1].split("\nusual")[0].split("\nexit")[0]
    assert "store" not in loop, "written back where control leaves only"


def test_stencils_of_several_instructions_at_once() -> None:
    texts = stencil_texts([ISA.by_name[name] for name in ("add", "ld", "ecall")])
    assert set(texts) == {"add", "ld"}
    assert "write.rd.x(%rdi)" in texts["add"].host and "operand.offset" not in texts["add"].host
    assert "operand.offset" in texts["ld"].host and "to.bail" in texts["ld"].host
    assert stencil_texts([]) == {}


def test_the_loop_round_a_place() -> None:
    program = assembled(
        "li a0, 9\n1: addi a0, a0, -1\nli a1, 5\n2: addi a1, a1, -1\nbnez a1, 2b\nbnez a0, 1b\nret\n", 0
    )
    page = program.data.ljust(4096, b"\0")
    entry, steps = loop_round(ISA, page, 12)
    assert entry == 12
    assert [step.offset for step in steps] == [4, 8, 12, 16, 20, 24], "and what little follows"
    assert loop_round(ISA, page, 8)[0] == 4
    assert loop_round(ISA, page, 0)[0] == 0
    text = region_text(ISA, page, entry=12)
    assert text is not None and "b12:" in text.lowered
