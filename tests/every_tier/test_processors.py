"""Several processors on each tier: locks, code that others rewrite, page tables that others change, calls."""

import pytest

from .processors import judge, run

ENGINES = ("interpreter", "stitcher", "translator", "auto")
ROUNDS = 20000

COUNTER = """
start:
    li s0, {rounds}
    la s1, counter
    la s2, lock
1:
{step}
    addi s0, s0, -1
    bnez s0, 1b
    call meet
    beqz a0, power_off
    j halt
.data_here
counter:
    .dword 0
    .balign 64
lock:
    .dword 0
"""

STEPS = {
    "amoadd": "    li t0, 1\n    amoadd.d zero, t0, (s1)",
    "lr/sc": "2:  lr.d t0, (s1)\n    addi t0, t0, 1\n    sc.d t1, t0, (s1)\n    bnez t1, 2b",
    "amoswap lock": (
        "    li t1, 1\n2:  amoswap.w.aq t0, t1, (s2)\n    bnez t0, 2b\n    ld t0, 0(s1)\n    addi t0, t0, 1\n"
        "    sd t0, 0(s1)\n    amoswap.w.rl zero, zero, (s2)"
    ),
    "lr/sc lock": (
        "    li t1, 1\n2:  lr.w.aq t0, (s2)\n    bnez t0, 2b\n    sc.w t0, t1, (s2)\n    bnez t0, 2b\n"
        "    fence r, rw\n    ld t0, 0(s1)\n    addi t0, t0, 1\n    sd t0, 0(s1)\n    fence rw, w\n    sw zero, 0(s2)"
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", (2, 4))
@pytest.mark.parametrize("step", STEPS)
def test_counters_lose_nothing(engine: str, count: int, step: str) -> None:
    rounds = ROUNDS if "lock" not in step else ROUNDS // count
    found = run(COUNTER.format(rounds=rounds, step=STEPS[step]), count, engine, {"counter": 1})
    assert found["counter"] == [count * rounds]


# --- code that another processor writes -------------------------------------------------------------------------------

REWRITTEN = """
# Processor 0 writes functions that return the round, and tells; the others fetch afresh and call them.
start:
    li s0, 1
    la s1, functions
    la s2, failures
    la s8, done
loop:
    li s7, PLACES
    mv s6, s1
write:
    bnez a0, tell
    slli t0, s0, 20
    ori t0, t0, 0x513  # addi a0, zero, round
    sw t0, 0(s6)
    li t0, 0x8067  # ret
    sw t0, 4(s6)
    li t0, SPACING
    add s6, s6, t0
    addi s7, s7, -1
    bnez s7, write
tell:
    fence rw, rw
    mv s5, a0
    call meet
    fence.i
    li t0, FIRST_READER
    blt s5, t0, 3f
    li s7, PLACES
    mv s6, s1
read:
    jalr s6
    beq a0, s0, 1f
    amoadd.d zero, s0, (s2)
1:  li t0, SPACING
    add s6, s6, t0
    addi s7, s7, -1
    bnez s7, read
3:  mv a0, s5
    call meet
    addi s0, s0, 1
    li t0, LAST
    bne s0, t0, loop
    beqz a0, power_off
    j halt
.data_here
failures:
    .dword 0
done:
    .balign 4096
functions:
    .space 4096 * 9
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", (2, 4))
@pytest.mark.parametrize(("places", "spacing", "rounds"), ((1, 64, 2000), (8, 4096, 300), (50, 80, 150)))
@pytest.mark.parametrize("first_reader", (0, 1))
def test_code_that_another_processor_writes(
    engine: str, count: int, places: int, spacing: int, rounds: int, first_reader: int
) -> None:
    sizes = {"PLACES": places, "SPACING": spacing, "LAST": rounds, "FIRST_READER": first_reader}
    text = "".join(f".equ {name}, {value}\n" for name, value in sizes.items()) + REWRITTEN
    found = run(text, count, engine, {"failures": 1})
    assert found["failures"] == [0]


RACING = """
# Processor 0 rewrites a function and then counts up; the others call it all the time, each time behind a FENCE.I.
start:
    la s1, function
    la s2, told
    la s3, failures
    bnez a0, reader
    li s0, 1
1:  andi t1, s0, 0x7ff
    slli t0, t1, 52
    srli t0, t0, 32
    ori t0, t0, 0x513  # addi a0, zero, low bits of the count
    sw t0, 0(s1)
    fence w, w
    sd s0, 0(s2)
    li t0, PAUSES
2:  addi t0, t0, -1
    bgez t0, 2b
    addi s0, s0, 1
    li t0, LAST
    bne s0, t0, 1b
    li s0, -1
    fence rw, rw
    sd s0, 0(s2)
    call meet
    j power_off
reader:
1:  ld s0, 0(s2)
    bltz s0, 3f
    fence.i
    jalr s1
    ld s4, 0(s2)  # what was called is of a count between the two, or of the next
    bltz s4, 3f
    sub a0, a0, s0
    andi a0, a0, 0x7ff
    sub s4, s4, s0
    addi s4, s4, 1
    bgeu s4, a0, 1b
    amoadd.d zero, s0, (s3)
    j 1b
3:  call meet
    j halt
.data_here
failures:
    .dword 0
    .balign 4096
told:
    .dword 0
    .balign 4096
function:
    li a0, 0
    ret
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", (2, 3))
@pytest.mark.parametrize("pauses", (0, 100, 1000))
def test_code_rewritten_while_others_call_it(engine: str, count: int, pauses: int) -> None:
    last = 100_000 // (1 + pauses // 20)
    found = run(f".equ PAUSES, {pauses}\n.equ LAST, {last}\n{RACING}", count, engine, {"failures": 1})
    assert found["failures"] == [0]


REMOTE_CODE = """
# Hart 0 rewrites a function and has the others fence; what they call afterwards is at least that new.
    call start_all
    li s0, 1
    la s1, function
    la s2, flag
1:  slli t0, s0, 20
    ori t0, t0, 0x513
    sw t0, 0(s1)
    li a7, 0x52464e43
    li a6, 0
    li a0, 0
    li a1, -1
    ecall
    beqz a0, 9f
    j failed
9:
    sd s0, 0(s2)
    addi s0, s0, 1
    li t0, 1500
    bne s0, t0, 1b
    j passed
other:
    la s2, flag
    la s1, function
1:  ld s3, 0(s2)
    jalr s1
    mv s0, a0
    bge a0, s3, 1b
    j failed
    .balign 4096
function:
    li a0, 0
    ret
    .balign 4096
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", (2, 4))
def test_a_remote_fence_shows_new_code(engine: str, count: int) -> None:
    judge(REMOTE_CODE, count, engine)


REMOTE_PAGES = """
# Hart 0 maps page after page at one address and has the others fence; what they load there is at least that new.
    .equ ROOT, 0x81000000
    .equ PAGES, 0x81100000
    la s0, table
    li t1, ROOT
    li t0, 0x200000cf  # 1 GiB at 0x80000000: V R W X A D
    sd t0, 16(t1)
    li t0, ((ROOT + 0x1000) >> 2) | 1
    sd t0, 0(t1)
    li t1, ROOT + 0x1000
    li t0, ((ROOT + 0x2000) >> 2) | 1
    sd t0, 0(t1)
    li s3, ROOT + 0x2000  # where the leaf of address 0 is
    li s4, PAGES
    mv t0, s4
    srli t0, t0, 2
    ori t0, t0, 0xc7
    sd t0, 0(s3)
    call start_all
    li s0, 1
    la s2, flag
1:  slli t0, s0, 12
    add t0, t0, s4
    sd s0, 0(t0)
    srli t0, t0, 2
    ori t0, t0, 0xc7  # V R W A D
    sd t0, 0(s3)
    li a7, 0x52464e43
    li a6, FUNCTION
    li a0, (1 << COUNT) - 1
    li a1, 0
    li a2, 0
    li a3, 4096
    ecall
    beqz a0, 9f
    j failed
9:
    sd s0, 0(s2)
    addi s0, s0, 1
    li t0, 1500
    bne s0, t0, 1b
    j passed
other:
    li t0, 8 << 60 | ROOT >> 12
    csrw satp, t0
    sfence.vma
    la s2, flag
1:  ld s3, 0(s2)
    fence r, r
    ld s0, 0(zero)
    bge s0, s3, 1b
    j failed
table:
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", (1, 2))
@pytest.mark.parametrize("count", (2, 4))
def test_a_remote_fence_shows_new_page_tables(engine: str, function: int, count: int) -> None:
    judge(f".equ FUNCTION, {function}\n{REMOTE_PAGES}", count, engine)


PING_PONG = """
# Each interrupts the other and sleeps until it is interrupted.
    la t0, here
    csrw stvec, t0
    csrwi sie, 2
    call start_all
    li s0, 1000
    li s1, 0
1:  li a0, 2
    call poke
    call rest
    addi s0, s0, -1
    bnez s0, 1b
    j passed
other:
    csrwi sie, 2
2:  call rest
    li a0, 1
    call poke
    j 2b
poke:
    li a7, 0x735049
    li a6, 0
    li a1, 0
    ecall
    beqz a0, 9f
    j failed
9:
    ret
rest:
1:  csrr t0, sip
    andi t0, t0, 2
    bnez t0, 2f
    wfi
    j 1b
2:  csrci sip, 2
    ret
    .balign 4
here:
    j failed
"""


@pytest.mark.parametrize("engine", ("interpreter", "auto"))
@pytest.mark.parametrize("clock", ("host", "instructions"))
def test_interrupts_between_harts(engine: str, clock: str) -> None:
    judge(PING_PONG, 2, engine, clock=clock)
