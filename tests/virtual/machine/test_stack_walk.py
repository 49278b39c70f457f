from guesthouse import Machine
from guesthouse.virtual.machine.inspection import VirtualMemory
from guesthouse.virtual.machine.stack_walk import DEEPEST, LARGEST_STACK, StackWalker
from tests.virtual.machine.programs import KERNEL, assembled

STACK = 0x8100_0000


def walked(machine: Machine, frame: int, words: dict[int, int], ra: int = 0x1111_1110) -> tuple[int, ...]:
    for address, value in words.items():
        machine.memory.write(address, value.to_bytes(8, "little"))
    for name, value in (("sp", STACK), ("s0", frame), ("ra", ra), ("pc", KERNEL)):
        machine.registers[name] = value
    state = machine._core.state
    return StackWalker(state, VirtualMemory(machine._core)).walk()


def test_chains_of_frames() -> None:
    top = STACK + 0x100
    with Machine(kernel=assembled("j .").data, engine="interpreter") as machine:
        linked = {STACK + 24: 0x4444, STACK + 16: top, top - 8: 0x5554, top - 16: 0}
        assert walked(machine, STACK + 32, linked) == (KERNEL, 0x4444, 0x5554)
        # A leaf keeps only the caller's frame pointer; where it returns to is in ra.
        leaf = {STACK + 24: top, STACK + 16: 0}
        assert walked(machine, STACK + 32, leaf) == (KERNEL, 0x1111_1110, 0x5554)


def test_what_is_no_frame_pointer_gives_the_pc_alone() -> None:
    with Machine(kernel=assembled("j .").data, engine="interpreter") as machine:
        for frame in (0, 8, STACK - 8, STACK + 4, STACK + LARGEST_STACK + 8, 1 << 63, (1 << 64) - 8):
            assert walked(machine, frame, {}) == (KERNEL,)


def test_a_chain_in_a_circle_ends() -> None:
    with Machine(kernel=assembled("j .").data, engine="interpreter") as machine:
        frame = STACK + 64
        assert len(walked(machine, frame, {frame - 8: 0x4444, frame - 16: frame})) == 2
        endless = {}
        for number in range(200):
            at = STACK + 16 * (number + 1)
            endless |= {at - 8: 0x4444, at - 16: at + 16}
        assert len(walked(machine, STACK + 16, endless)) == DEEPEST
