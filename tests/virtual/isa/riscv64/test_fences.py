import pytest

from guesthouse.virtual.isa.riscv64.causes import Cause
from guesthouse.virtual.isa.riscv64.fences import sfence_inval_ir, sfence_vma, sfence_w_inval, sinval_vma
from guesthouse.virtual.spec.words import Trap

from .hart import Hart

TVM = 1 << 20


@pytest.mark.parametrize("fence", (sfence_vma, sinval_vma))
def test_what_is_forgotten(fence):
    hart = Hart()
    hart.x[10] = 0xFFFF_FFC0_1234_5678
    space = [("context", context) for context in range(8)]
    fence(hart, 0, 0)
    fence(hart, 0, 11)
    fence(hart, 10, 0)
    fence(hart, 10, 11)
    fence(hart, 12, 11)
    assert hart.environment.forgotten == [None, *space, (hart.x[10], 1), (hart.x[10], 1), (0, 1)]
    assert hart.environment.synchronized == (5 if fence is sfence_vma else 0)


@pytest.mark.parametrize("fence", (sfence_vma, sinval_vma, sfence_w_inval, sfence_inval_ir))
@pytest.mark.parametrize(("mode", "status"), [(3, TVM), (1, 0), (1, TVM), (0, 0)])
def test_who_may(fence, mode, status):
    hart = Hart()
    hart.mode, hart.mstatus = mode, status
    operands = (0, 0) if fence in (sfence_vma, sinval_vma) else ()
    if mode == 0 or (operands and mode == 1 and status):
        with pytest.raises(Trap) as raised:
            fence(hart, *operands)
        assert raised.value.cause == Cause.ILLEGAL_INSTRUCTION
        assert hart.environment.forgotten == []
    else:
        fence(hart, *operands)
        assert len(hart.environment.forgotten) == (1 if operands else 0)


def test_invalidation_ends_with_a_fresh_start():
    hart = Hart()
    sfence_w_inval(hart)
    assert hart.environment.synchronized == 0
    sfence_inval_ir(hart)
    assert hart.environment.synchronized == 1
