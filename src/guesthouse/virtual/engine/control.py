"""What happens between stretches of native code: budget, time slices, interrupts, traps.

In the semantics language, run natively. `interpreter.py` writes the few lines of IR that join these with the handlers.
"""

from guesthouse.virtual.engine.stitching import arrived_at
from guesthouse.virtual.memory.code import drop_all_code, find_code
from guesthouse.virtual.memory.crew import meet
from guesthouse.virtual.memory.shadow import BANK, FETCH_BANK, SUSPENDED, prepare_bank
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.hooks import data_context, fetch_context, poll, take_trap
from guesthouse.virtual.spec.host_words import host_nanoseconds, host_sleep
from guesthouse.virtual.spec.layout import Field, RegisterFile
from guesthouse.virtual.spec.words import State, divide, minimum, s64, u64

# A program that waits by spinning, with other processors: steps from one `pause` to the next that are the same waiting,
# the times it may spin before its thread sleeps (some microseconds), and between two sleeps. Programs count them, too,
# and do something better after a thousand or so. Then: microseconds of the first sleep, sleeps of each length as a
# shift, and how often the length doubles.
SPIN_STEPS = 128
PATIENCE, SPINS = 256, 64
FIRST_NAP, ALIKE, DOUBLINGS = 16, 1, 4
LONGEST_PATH = 512  # instructions of a region

FIELDS = (
    Field("slice", saved=False, doc="instructions between two looks at the clock"),
    Field("slack", saved=False, doc="a region begins a path only while more than this many instructions are left"),
    Field("host_float", saved=False, doc="the host's floating-point control word outside native code"),
    RegisterFile("trap_counts", 64, saved=False, doc="traps taken by cause; interrupts from 32 on"),
    Field("translated_steps", saved=False, doc="steps that ran in translated regions"),
    Field("arrived", saved=False, doc="nonzero: translations have come from the compile service"),
    Field("hot", saved=False, doc="rounds of a slot's counter of jumps after which its code is worth translating"),
    Field("slice_end", saved=False, doc="steps at which `remaining` reaches zero"),
    Field("clock_function", saved=False, doc="address of the host's clock_gettime"),
    Field("clock_time", saved=False, doc="its answer: seconds"),
    Field("clock_rest", saved=False, doc="its answer: nanoseconds"),
    Field("sleep_function", saved=False, doc="address of the host's usleep"),
    Field("threaded", saved=False, doc="1: other processors run at the same time, in threads of their own"),
    Field("spins", saved=False, doc="times the program has said that it spins, in its present waiting"),
    Field("spun_at", saved=False, doc="steps at the last of them"),
    Field("naps", saved=False, doc="times that the thread has slept since the program was spinning"),
    Field("counted_clock", saved=False, doc="1: one nanosecond an instruction; 0: the host's clock"),
    Field("clock_offset", saved=False, doc="nanoseconds added to the clock"),
)


@function
def steps(s: State) -> u64:
    """Steps (instructions and traps) taken so far; `remaining` must have been spilled."""
    return u64(s.slice_end - s.remaining)


@function
def retired(s: State) -> u64:
    """Instructions retired so far."""
    return u64(s.slice_end - s.remaining - s.trapped)


@function
def nanoseconds(s: State) -> u64:
    """The machine's clock."""
    if s.counted_clock != 0:
        return u64(steps(s) + s.clock_offset)
    return u64(host_nanoseconds(s) + s.clock_offset)


@function
def relax(s: State) -> None:
    """A program spins: if it does for long, sleep, as who it waits for may need this host processor.

    To yield would not do: the host then has those who spin run in turn, before it comes to the one that they wait for.
    """
    if s.threaded != 0:
        now = steps(s)
        s.spins = u64(s.spins + 1) if u64(now - s.spun_at) < SPIN_STEPS else 1
        s.spun_at = now
        if s.spins >= PATIENCE and s.spins & (SPINS - 1) == 0:
            s.naps = u64(s.naps + 1)
            doublings = minimum(u64(divide(u64(s.spins - PATIENCE), SPINS)) >> ALIKE, DOUBLINGS)
            host_sleep(s, u64(FIRST_NAP << (doublings & 63)))
            s.attention = 1


@function
def begin_slice(s: State) -> None:
    """Take the next stretch of the budget: to the next multiple of the slice, or to the end."""
    now = steps(s)
    end = u64(now + s.slice - (now & (s.slice - 1)))
    s.slice_end = end if end < s.target else s.target
    # Regions count whole paths: where the stretch must end exactly, the interpreter does its last instructions.
    s.slack = LONGEST_PATH if s.counted_clock != 0 or end >= s.target else 0
    s.remaining = u64(s.slice_end - now)


def ready(s: State, bank: u64) -> u64:
    """A bank of the shadow page table, fit for use."""
    if (s.banks_ready >> (bank & 63)) & 1 == 0:
        prepare_bank(s, bank)
    return bank


@function
def find_next(s: State) -> u64:
    """Slot of the next instruction, 0 to leave to the monitor, or a trap (an interrupt or a failed fetch)."""
    if s.exit_reason != 0:
        return 0
    s.code_dropped = 0
    if s.peer_count > 1:
        meet(s)
        if s.drop_all != 0:
            s.drop_all = 0
            drop_all_code(s)
    if s64(s.remaining) <= 0:
        if steps(s) >= s.target:
            s.exit_reason = Exit.BUDGET
            return 0
        if s.slice_end & (s.slice - 1) == 0:
            s.attention = 1
        begin_slice(s)
    if s.arrived != 0:
        s.exit_reason = Exit.SERVICE
        return 0
    if s.request != 0:
        s.exit_reason = Exit.ATTENTION
        return 0
    if s.attention != 0:
        if s.exit_answered == 0:
            poll(s)
        else:  # the access that left has been done: its instruction comes to its end first, then the interrupt
            s.slice_end = u64(steps(s) + 1)
            s.remaining = 1
            s.slack = LONGEST_PATH
    s.data_bank = u64(s.banks + ready(s, data_context(s)) * BANK)
    s.fetch_bank = u64(s.fetch_banks + ready(s, fetch_context(s)) * FETCH_BANK)
    slot = find_code(s)
    return arrived_at(s, s.pc, s.code_page, slot) if s.code_page != s.lonely_page else slot


@function
def trapped(s: State) -> u64:
    """Let the guest take the trap that was raised; gives 1 where it is not the guest's but a reason to leave."""
    if s.trap_cause == SUSPENDED:
        return 1
    s.remaining -= 1
    s.trapped = u64(s.trapped + 1)
    s.trap_counts[(s.trap_cause >> 63 & 1) << 5 | s.trap_cause & 31] += 1
    take_trap(s, s.trap_cause, s.trap_value)
    return 0
