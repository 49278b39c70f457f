"""Memory ordering between processors, by the litmus tests of RVWMO: outcomes that it forbids never come.

Source: volume I, chapter 17 "RVWMO Memory Consistency Model" and appendix A. Each test runs many times over places of
its own, the processors racing along them; they meet between batches.
"""

import pytest

from .processors import run

BATCH, BATCHES = 500, 100
ENGINES = ("interpreter", "stitcher", "translator", "auto")
PLACE = 128  # bytes from one place to the next

# One place and what was loaded there: s0 points to x, 64 bytes on is y; s1 to two results, s2 counts to the batch.
RACE = """
start:
    mv s10, a0
    li s9, {batches}
batch:
    call meet
    la s0, places
    la s1, results
    slli t0, s10, 4
    add s1, s1, t0
    li s2, {batch}
{dispatch}
{bodies}
done:
    call meet
    bnez s10, next
    call count
next:
    call meet
    addi s9, s9, -1
    bnez s9, batch
    beqz s10, power_off
    j halt

count:  # outcomes: the results of all processors are the digits of a number
    la s0, places
    la s1, results
    la s3, outcomes
    li s2, {batch}
1:  ld t0, {first}(s1)
    ld t1, {second}(s1)
    slli t0, t0, 1
    or t0, t0, t1
{more}
    slli t0, t0, 3
    add t0, t0, s3
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    sd zero, 0(s0)
    sd zero, 64(s0)
    addi s0, s0, {place}
    addi s1, s1, 64
    addi s2, s2, -1
    bnez s2, 1b
    ret
.data_here
outcomes:
    .space 128
    .balign 4096
results:
    .space {results}
    .balign 4096
places:
    .space {places}
"""

MORE = """
    ld t1, 48(s1)
    slli t0, t0, 1
    or t0, t0, t1
    ld t1, 56(s1)
    slli t0, t0, 1
    or t0, t0, t1
"""


def outcomes(engine: str, bodies: list[str], first: int, second: int, more: str = "") -> list[int]:
    """How often each outcome came; a body runs at each place with t6 = 1, and puts what it loaded to 0(s1), 8(s1)."""
    loops = [
        f"processor{n}:\n    li t6, 1\n1:{body}\n    addi s0, s0, {PLACE}\n    addi s1, s1, 64\n"
        f"    addi s2, s2, -1\n    bnez s2, 1b\n    j done\n"
        for n, body in enumerate(bodies)
    ]
    dispatch = "\n".join(f"    li t0, {n}\n    beq s10, t0, processor{n}" for n in range(len(bodies)))
    text = RACE.format(
        batch=BATCH, batches=BATCHES, place=PLACE, results=64 * BATCH, places=PLACE * BATCH,
        dispatch=dispatch, bodies="\n".join(loops), first=first, second=second, more=more,
    )  # fmt: skip
    found = run(text, len(bodies), engine, {"outcomes": 16})["outcomes"]
    assert sum(found) == BATCH * BATCHES
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("writer", ("fence w, w", "amoor.w.rl zero, zero, (s3)"))
@pytest.mark.parametrize("reader", ("fence r, r", "xor t3, t1, t1\n    add s3, s0, t3"))
def test_message_passing(engine: str, writer: str, reader: str) -> None:
    write = (
        f"\n    la s3, scratch\n    sd t6, 0(s0)\n    {writer}\n    sd t6, 64(s0)"
        if "amo" in writer
        else (f"\n    sd t6, 0(s0)\n    {writer}\n    sd t6, 64(s0)")
    )
    write = write.replace("la s3, scratch", "addi s3, s1, 24")
    read = f"\n    mv s3, s0\n    ld t1, 64(s0)\n    {reader}\n    ld t2, 0(s3)\n    sd t1, 0(s1)\n    sd t2, 8(s1)"
    found = outcomes(engine, [write, read], 16, 24)
    assert found[0b10] == 0, "the second store was seen, the first was not"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fence", ("fence rw, rw", "fence w, r", "amoadd.d.aqrl zero, zero, (s3)"))
def test_store_buffering(engine: str, fence: str) -> None:
    bodies = [
        f"\n    addi s3, s1, 32\n    sd t6, {own}(s0)\n    {fence}\n    ld t1, {other}(s0)\n    sd t1, 0(s1)"
        for own, other in ((0, 64), (64, 0))
    ]
    found = outcomes(engine, bodies, 0, 16)
    assert found[0b00] == 0, "both loads came before both stores"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fence", ("fence r, w", "xor t3, t1, t1\n    add s3, s3, t3", "beqz t1, 2f\n2:"))
def test_load_buffering(engine: str, fence: str) -> None:
    bodies = [
        f"\n    mv s3, s0\n    ld t1, {own}(s0)\n    {fence}\n    sd t6, {other}(s3)\n    sd t1, 0(s1)"
        for own, other in ((0, 64), (64, 0))
    ]
    found = outcomes(engine, bodies, 0, 16)
    assert found[0b11] == 0, "each load saw the store behind the other one"


@pytest.mark.parametrize("engine", ENGINES)
def test_independent_reads_of_independent_writes(engine: str) -> None:
    bodies = ["\n    sd t6, 0(s0)", "\n    sd t6, 64(s0)"]
    bodies += [
        f"\n    ld t1, {one}(s0)\n    fence rw, rw\n    ld t2, {two}(s0)\n    sd t1, 0(s1)\n    sd t2, 8(s1)"
        for one, two in ((0, 64), (64, 0))
    ]
    found = outcomes(engine, bodies, 32, 40, MORE)
    assert found[0b1010] == 0, "two processors saw two stores in different orders"


@pytest.mark.parametrize("engine", ENGINES)
def test_loads_of_one_place_never_go_back(engine: str) -> None:
    write = "\n    sd t6, 0(s0)"
    read = "\n    ld t1, 0(s0)\n    ld t2, 0(s0)\n    sd t1, 0(s1)\n    sd t2, 8(s1)"
    found = outcomes(engine, [write, read], 16, 24)
    assert found[0b10] == 0, "the new value was seen, then the old one"
