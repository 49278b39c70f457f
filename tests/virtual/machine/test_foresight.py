"""What memory hooks tell of a write before it is done: equal to what memory then holds, whatever writes it."""

import pytest

from guesthouse import Access, Machine, Reason
from tests.virtual.machine.programs import POWER_OFF, assembled

WRITES = f"""
    la s1, data
    li s2, 0x1122334455667788
    li t0, 0x6000
    csrs sstatus, t0        # floating point on
    fmv.d.x fa0, s2
    sd s2, 0(s1)
    sb s2, 1(s1)
    li t1, 4094
    add t1, s1, t1
    sw s2, (t1)             # across two pages
    fsd fa0, 16(s1)
    fsw fa0, 24(s1)
    amoadd.d a0, s2, (s1)
    amominu.w a0, s2, (s1)
    lr.d a0, (s1)
    sc.d a1, s2, (s1)
    sc.d a1, zero, (s1)     # fails
    sd s2, 64(s1)
    addi t1, s1, 70
    cbo.zero (t1)
    c.sd s1, 0(s1)
    j power_off
{POWER_OFF}
    .balign 4096
data:
    .space 8192
"""
EXPECTED_SIZES = [8, 1, 2, 8, 4, 8, 4, 8, 8, 8, 64, 8]


@pytest.mark.parametrize("engine", ("reference", "interpreter", "translator"))
def test_each_write_is_told_before_it_is_done(engine: str) -> None:
    program = assembled(WRITES)
    data = program.symbols["data"]
    seen: list[Access] = []

    def note(machine: Machine, access: Access) -> None:
        check(machine)
        assert int.from_bytes(machine.memory.read(access.address, access.size), "little") == access.before
        seen.append(access)

    def check(machine: Machine) -> None:
        if seen and (last := seen[-1]):
            assert int.from_bytes(machine.memory.read(last.address, last.size), "little") == last.value

    with Machine(kernel=program.data, memory="64M", engine=engine, clock="instructions") as machine:
        machine.on_memory(data, 8192, note, read=False)
        assert machine.run(timeout=20).reason is Reason.POWER_OFF
        check(machine)
    assert [access.size for access in seen] == EXPECTED_SIZES
    assert [access.value != access.before for access in seen] == [n != 8 for n in range(len(seen))]  # the sc that fails
    assert [access.value for access in seen if access.size == 2] == [0x7788]
    assert seen[1].pc == seen[0].pc + 4


def test_a_read_tells_the_value_read() -> None:
    program = assembled(f"la s1, data\nlw a0, (s1)\nj power_off\n{POWER_OFF}\n.balign 8\ndata: .dword 0x1234567890")
    seen: list[Access] = []
    with Machine(kernel=program.data, memory="64M", engine="interpreter", clock="instructions") as machine:
        machine.on_memory(program.symbols["data"], 8, lambda _, access: seen.append(access), write=False)
        machine.run(timeout=20)
    assert [(access.size, access.value, access.before) for access in seen] == [(4, 0x34567890, 0x34567890)]
