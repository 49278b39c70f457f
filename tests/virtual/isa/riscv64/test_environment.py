import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.environment import ebreak, ecall, illegal
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.words import Trap

from .hart import Hart


@pytest.mark.parametrize(("mode", "cause"), [(0, 8), (1, 9), (3, 11)])
def test_ecall(mode, cause):
    hart = Hart()
    hart.mode = mode
    with pytest.raises(Trap) as raised:
        ecall(hart)
    assert (raised.value.cause, raised.value.value) == (cause, 0)


def test_the_monitor_answers_the_supervisor_only():
    hart = Hart()
    hart.monitor, hart.mode = 1, 1
    ecall(hart)
    assert hart.environment.left == [Exit.HYPERCALL]
    hart.mode = 0
    with pytest.raises(Trap) as raised:
        ecall(hart)
    assert raised.value.cause == Cause.USER_ECALL


def test_ebreak_and_illegal():
    hart = Hart()
    hart.pc, hart.environment.word = 0x8000_0002, 0xFFFF_FFFF
    with pytest.raises(Trap) as raised:
        ebreak(hart)
    assert (raised.value.cause, raised.value.value) == (Cause.BREAKPOINT, 0x8000_0002)
    with pytest.raises(Trap) as raised:
        illegal(hart)
    assert (raised.value.cause, raised.value.value) == (Cause.ILLEGAL_INSTRUCTION, 0xFFFF_FFFF)
