import random

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.isa.riscv64.description import RISCV64
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.disassembly import Disassembler

from ..fake import EDGES, execute, hart, random_word
from . import binutils
from .binutils import BASE, needs_binutils

ASSEMBLER = Assembler(RISCV64, RISCV64_SYNTAX)

# What GNU as reads, and its spelling of everything in the tables of `pseudo`.
PSEUDO = """
start:  nop; li a0, -5; mv a0, a1; move a0, a1; not a0, a1; neg a0, a1; negw a0, a1; sext.w a0, a1
        zext.b a0, a1; seqz a0, a1; snez a0, a1; sltz a0, a1; sgtz a0, a1; sgt a0, a1, a2; sgtu a0, a1, a2
        zext.w a0, a1; sext.b a0, a1; sext.h a0, a1; zext.h a0, a1; slt a0, a1, 5; sltu a0, a1, 5
        add a0, a1, 5; and a0, a1, 5; or a0, a1, -5; xor a0, a1, 5; sll a0, a1, 40; srl a0, a1, 0x28; sra a0, a1, 40
        addw a0, a1, 5; sllw a0, a1, 5; srlw a0, a1, 5; sraw a0, a1, 5; ror a0, a1, 5; rorw a0, a1, 5; bset a0, a1, 60
        beqz a0, start; bnez a0, start; blez a0, start; bgez a0, start; bltz a0, start; bgtz a0, start
        bgt a0, a1, end; ble a0, a1, end; bgtu a0, a1, end; bleu a0, a1, end
        j end; jal end; jal t0, start; jr a0; jr 8(a0); jr a0, 8; jalr a0; jalr 8(a0); jalr a0, 8; jalr t0, a0
        jalr t0, 8(a0); jalr t0, a0, 8; ret
1:      la a0, data; lla a1, start; call start; call t0, end; tail end; jump end, t2
        lb a0, data; lh a0, data; lw a0, data; ld a0, data; lbu a0, data; lhu a0, data; lwu a0, data
        sb a0, data, t0; sh a0, data, t0; sw a0, data, t0; sd a0, data, t0
        flw fa0, data, t0; fld fa0, data, t0; fsw fa0, data, t0; fsd fa0, data, t0
        .equ low, 0x12345fff; lui a0, %hi(low); addi a0, a0, %lo(low); lw a1, %lo(low + 1)(a0)
2:      auipc a0, %pcrel_hi(data); ld a1, %pcrel_lo(2b)(a0); sd a1, %pcrel_lo(2b)(a0)
        csrr a0, mstatus; csrw mtvec, a0; csrs mie, a0; csrc mip, a0; csrwi satp, 3; csrsi mstatus, 8; csrci mstatus, 8
        csrw mstatus, 3; csrs mstatus, 3; csrc mstatus, 3; csrrw a0, 0x123, a1; csrrw a0, sscratch, 5; csrr a0, pmpaddr7
        rdcycle a0; rdtime a0; rdinstret a0; frcsr a0; frrm a0; frflags a0; fscsr a0; fscsr a0, a1; fsrm a0; fsrm a0, a1
        fsflags a0; fsflags a0, a1; fsrmi 3; fsrmi a0, 3; fsflagsi 3; fsflagsi a0, 3
        fence; fence rw, w; fence i, o; fence iorw, r; fence.tso; fence.i; pause; sfence.vma; sfence.vma a0
        sfence.vma a0, a1; ecall; ebreak; scall; sbreak; wfi; mret; sret
        fmv.s fa0, fa1; fmv.d fa0, fa1; fneg.s fa0, fa1; fneg.d fa0, fa1; fabs.s fa0, fa1; fabs.d fa0, fa1
        fgt.s a0, fa0, fa1; fge.d a0, fa0, fa1; fmv.x.s a0, fa0; fmv.s.x fa0, a0; fmv.d.x fa0, a0
        fadd.s fa0, fa1, fa2; fadd.s fa0, fa1, fa2, rtz; fsqrt.d fa0, fa1; fcvt.d.w fa0, a0; fcvt.w.d a0, fa0, rtz
        fcvt.d.s fa0, fa1; fcvt.s.d fa0, fa1; fmadd.d fa0, fa1, fa2, fa3; fcvt.lu.s a0, fa0, rup; fcvt.s.lu fa0, a0
        lr.w a0, (a1); lr.d.aq a0, (a1); sc.w.rl a0, a2, (a1); sc.d.aqrl a0, a2, 0(a1); amoadd.w a0, a2, (a1)
        amomaxu.d.aqrl a0, a2, (a1); amoswap.w.aq x10, x12, (x11)
        cbo.zero (a0); cbo.clean (a0); cbo.flush 0(a0); cbo.inval (a0); prefetch.r 64(a0); prefetch.w (a0)
        lw fp, -4(s0); sw s0, (sp); ld a0, 0(x31); addi a0, a0, 'A'; addi a0, a0, 12 - 4 * (3 + -1); lui a0, 0xfffff
        auipc a0, 0x80000; slli a0, a0, 3 + 4 * 2; andi a0, a0, ~7; li a0, (1 << 12) - 1
        .option rvc
        c.lw a0, 4(a1); c.addi4spn a0, sp, 16; c.addi16sp sp, -32; c.li a0, -3; c.lui a0, 0xfffe1; c.lui a1, 5; c.nop
        c.j 3f; c.beqz a0, 3f; c.bnez s1, 3f; c.jr a0; c.jalr a0; c.ebreak; c.mv a0, a1; c.add a0, a1; c.sub a0, a1
3:      c.ldsp ra, 8(sp); c.sdsp ra, 8(sp); c.fldsp fa0, 16(sp); c.fsd fa0, 8(a1); c.srai a0, 33; c.addiw a0, 0
        .option norvc
        .balign 8
end:    .word end - start, 0x12345678; .half 1, 2; .byte 1, -1, 255, 'x'
end2:   .ascii "a\\tb\\n\\x41\\101", "c"; .asciz "text; # not a comment"; .string "x"; .align 3
data:   .dword start, data + 8, -1; .zero 5; .skip 3, 7; .quad 1b
"""


@needs_binutils
def test_bytes_are_those_of_gnu_as(tmp_path):
    theirs = binutils.image(PSEUDO, tmp_path)
    ours = ASSEMBLER.assemble(PSEUDO, BASE)
    texts = Disassembler(RISCV64, RISCV64_SYNTAX)
    ours_listed = [text for _, _, text in texts.disassemble(ours, BASE)]
    theirs_listed = [text for _, _, text in texts.disassemble(theirs, BASE)]
    assert ours_listed == theirs_listed
    assert ours == theirs


def constants():
    rng = random.Random(1)
    yield from EDGES
    for bits in range(1, 65):
        yield from (
            rng.getrandbits(bits),
            (1 << bits) - 1,
            1 << bits - 1,
            -(1 << bits - 1),
            -rng.getrandbits(bits) // 2,
        )


@needs_binutils
def test_constants_take_the_instructions_of_gnu_as(tmp_path):
    text = "\n".join(f"li a0, {value}" for value in constants())
    assert ASSEMBLER.assemble(text, BASE) == binutils.image(text, tmp_path)


def test_constants_have_their_value():
    decode = Disassembler(RISCV64, RISCV64_SYNTAX).decoder.decode
    for value in constants():
        code = ASSEMBLER.assemble(f"li a0, {value}")
        assert len(code) <= 32
        s = hart()
        for at in range(0, len(code), 4):
            word = int.from_bytes(code[at : at + 4], "little")
            instruction = decode(word)
            execute(s, instruction, **instruction.pattern.decode(word))
        assert s.x[10] == value & ((1 << 64) - 1)


def words(count, seed):
    """Random words of every instruction, operands often zero, and random bits."""
    rng = random.Random(seed)
    for instruction in RISCV64.instructions:
        for _ in range(count):
            word = random_word(instruction, rng)
            values = instruction.pattern.decode(word)
            for operand in instruction.pattern.operands:
                if rng.random() < 0.3 and operand.low <= 0 not in operand.excluded and operand.bits > 3:
                    values[operand.name] = 0
            if rng.random() < 0.5 and "rm" in values:
                values["rm"] = 7
            word = instruction.pattern.encode(values)
            # The more special instruction may have become the meaning.
            yield instruction.pattern.length, word
    for _ in range(1000):
        word = rng.getrandbits(32)
        if word & 31 != 31:  # as long as that is, binutils refuses it
            yield (4, word) if word & 3 == 3 else (2, word & 0xFFFF)


def expected(text, ours):
    """objdump's text where we mean to follow it."""
    name = ours.split()[0]
    if name.startswith("czero.") and binutils.version() < (2, 41):
        return ours  # Zicond is younger
    if name in ("fcvt.d.w", "fcvt.d.wu", "fcvt.d.s") and text.startswith(".4byte"):
        return ours  # a rounding mode of an exact conversion is legal
    if text == "add sp,sp,0" and name == ".2byte":
        return ours  # 0x6101 is reserved
    return text


@needs_binutils
@pytest.mark.skipif("binutils.version() >= (2, 41)", reason="this objdump prints immediate forms by another name")
def test_texts_are_those_of_objdump(tmp_path):
    cases = list(words(10, 1))
    disassembler = Disassembler(RISCV64, RISCV64_SYNTAX)
    pc, wrong = 0, []
    for (length, word), theirs in zip(cases, binutils.disassembly(cases, tmp_path), strict=True):
        ours = " ".join(disassembler.text_of(word, pc).split())
        if ours != expected(theirs, ours):
            wrong.append((hex(word), ours, theirs))
        pc += length
    assert not wrong


@needs_binutils
def test_texts_without_aliases_are_those_of_objdump(tmp_path):
    cases = [(length, word) for length, word in words(10, 2) if length == 4]
    disassembler = Disassembler(RISCV64, RISCV64_SYNTAX, aliases=False)
    theirs = binutils.disassembly(cases, tmp_path, "-M", "no-aliases")
    for at, ((_, word), text) in enumerate(zip(cases, theirs, strict=True)):
        ours = " ".join(disassembler.text_of(word, 4 * at).split())
        if (ours.endswith(",rne") and text + ",rne" == ours) or text == "unimp":
            continue
        assert ours == expected(text, ours)


@pytest.mark.parametrize("aliases", [True, False])
def test_texts_assemble_back(aliases):
    disassembler = Disassembler(RISCV64, RISCV64_SYNTAX, aliases=aliases)
    cases = [(length, word) for length, word in words(4, 3) if length == 4 or not aliases]
    texts = [disassembler.text_of(word, BASE) for _, word in cases]
    for (length, word), text in zip(cases, texts, strict=True):
        if "unknown" not in text:  # reserved rounding modes and empty sets
            assert ASSEMBLER.assemble(text, BASE) == word.to_bytes(length, "little"), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("li a0", "'li' takes a register and a number"),
        ("li a0, 1 << 64", "does not fit in 64 bits"),
        ("addi a0, a1, 2048", "imm cannot be 2048: it goes from -2048 to 2047"),
        ("c.lwsp x0, 0(sp)", "rd cannot be 0"),
        ("beq a0, a1, . + 3", "in steps of 2"),
        ("beq a0, a1, . + 4096", "offset cannot be 4096"),
        ("lw a0, %pcrel_lo(4)(a1)", "%pcrel_hi"),
        ("fadd.s a0, fa1, fa2", "does not read as 'fadd.s rd,rs1,rs2,rm'"),
        ("csrr a0, nosuch", "'nosuch' is not defined"),
    ],
)
def test_mistakes_are_told(text, message):
    with pytest.raises(UserError, match="Line 2: ") as caught:
        ASSEMBLER.assemble("nop\n" + text)
    assert message in str(caught.value)
