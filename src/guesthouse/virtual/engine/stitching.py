"""The cheap tier: blocks of warm code, copied together from stencils and patched. Runs natively, being in the language.

A block begins where a jump arrives often. Its instructions' stencils lie one behind the other; it goes on behind
branches that are not taken and along jumps within the page, and ends where an instruction has no stencil. Behind them
lie its ways out, one for each jump out of the block. Those for places where an instruction is left to its handler run
seldom; they lie far behind, in a room of their own, so that what runs often lies close together.
It is installed like a region: the first instruction's slot holds the block.
"""

from guesthouse.virtual.memory.code_page import ASKED, counter_at, page_words, slot_at, translated_map
from guesthouse.virtual.memory.shadow import read_host, write_host
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.hooks import UNIT_SHIFT
from guesthouse.virtual.spec.host_words import host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import State, s64, u64

# A stencil as the table has it, in bytes: host address and bytes of its code, host address and number of its patches,
# bytes of the instruction, how it ends, where its jump goes (an operand and what is added to it), what it yields, the
# number of registers that it may find carried, and where the places of these registers are: of the one it yields, then
# of those. An instruction's stencils follow each other, numbered by which registers are carried, a bit each.
STENCIL = 88
CODE, CODE_SIZE, PATCHES, PATCH_COUNT, LENGTH, ENDING, JUMP, JUMP_ADDEND, YIELDS, SOURCES, PLACES = range(0, 88, 8)
# Into what follows; by a jump of its own; to the jump's target, copied behind it; the instruction has no stencil.
GOES_ON, LEAVES, ENDS_TAKEN, NONE = range(4)
# What is carried behind it: what was before; nothing; the register it writes.
YIELDS_NOTHING, YIELDS_UNKNOWN, YIELDS_REGISTER = range(3)
NOT_CARRIED = (1 << 64) - 1

# The index has for each instruction its handler and its first stencil.
INDEX = 16

# A patch: its place in the code and what goes there (packed, see `operand_at`), what is added, and for a register's
# place the number that goes to the spare register behind the file, and that one's number.
PATCH = 32
WHAT, ADDEND, ZERO, SPARE = 0, 8, 16, 24
NO_ZERO = (1 << 64) - 1
CONSTANT, OPERAND, REGISTER, AT, DONE, AFTER, TARGET, SLOT_PLACE = range(8)
HANDLER, TO_NEXT, TO_TAKEN, TO_BAIL = range(8, 12)

# A place that jumps to a way out: its address, which way, the slot and page offset of its instruction, how many were
# done before that, the jump's target.
LEAVING = 48
LONGEST_BLOCK = 127  # instructions, a byte; below `control.LONGEST_PATH`
MOST_BLOCKS = 16  # that are stitched at once, where one goes on into the next
MOST_LEAVING = 4 * LONGEST_BLOCK
LARGEST_BLOCK = 1 << 17  # bytes of code, more than a block can have

FIELDS = (
    Field("stitch_next", saved=False, doc="where the next block is copied to (executable address)"),
    Field("stitch_end", saved=False, doc="end of the room for blocks"),
    Field("stitch_rare", saved=False, doc="where the next block's ways to handlers are copied to"),
    Field("stitch_rare_end", saved=False, doc="end of the room for these"),
    Field("stitch_writable", saved=False, doc="what to add to an executable address to write there"),
    Field("stitch_full", saved=False, doc="1: there was no room for a block"),
    Field("stitch_behind", saved=False, doc="page offset that the block stitched last goes on to, 4096 for none"),
    Field("stitch_entry", saved=False, doc="page offset of the block under construction"),
    Field("stencil_index", saved=False, doc="host address of the index of stencils, sorted by handler"),
    Field("stencil_count", saved=False, doc="the number of instructions in it"),
    Field("stitch_carried", saved=False, doc="place in the state of the register that the block carries here"),
    Field("stencil_parts", saved=False, doc="host address of the stencils of a block's own parts: enter and ways out"),
    Field("leaving", saved=False, doc="host address of the list of places that jump to ways out"),
    Field("leaving_count", saved=False, doc="their number"),
    Field("pages_kept", saved=False, doc="pages of which there are translations in the persistent cache"),
    Field("asks", saved=False, doc="1: those kept of `code_page` are asked for"),
    Field("stitched_blocks", saved=False, doc="blocks stitched so far"),
    Field("stitched_instructions", saved=False, doc="instructions in them"),
    Field("stitched_steps", saved=False, doc="steps that ran in stitched blocks"),
)


@function
def find_stencil(s: State, handler: u64) -> u64:
    """The first stencil of the instruction that a handler is for, 0 where it is no instruction's."""
    low = u64(s.stencil_index)
    count = u64(s.stencil_count)
    for _ in range(64):
        if u64(count) == 0:
            break
        half = u64(count) >> 1
        middle = u64(low + half * INDEX)
        if host_load(middle, 8) < handler:
            low = u64(middle + INDEX)
            count = u64(count - half - 1)
        else:
            count = half
    end = u64(s.stencil_index + s.stencil_count * INDEX)
    if u64(low) < end and host_load(u64(low), 8) == handler:
        return host_load(u64(low + 8), 8)
    return 0


def operand_at(slot: u64, what: u64) -> u64:
    """A decoded operand: `what` has its offset in the slot from bit 32 on, its bytes from 40, its sign at 48."""
    size = what >> 40 & 15
    value = read_host(u64(slot + (what >> 32 & 255)), u64(size))
    if what >> 48 & 1 != 0 and size < 8:
        unused = (64 - 8 * size) & 63
        return u64(s64(u64(value << unused)) >> unused)
    return value


def register_place(patch: u64, slot: u64, what: u64) -> u64:
    """A register's offset in the state; the addend is its file's."""
    number = operand_at(slot, what)
    if number == host_load(patch + ZERO, 8):
        number = host_load(patch + SPARE, 8)
    return u64(8 * number)


@function
def note_leaving(s: State, place: u64, way: u64, slot: u64, offset: u64, done: u64, target: u64) -> None:
    """Remember a place that jumps to a way out; `write_ways_out` comes back to it."""
    entry = u64(s.leaving + s.leaving_count * LEAVING)
    host_store(entry, 8, place)
    host_store(entry + 8, 8, way)
    host_store(entry + 16, 8, slot)
    host_store(entry + 24, 8, offset)
    host_store(entry + 32, 8, done)
    host_store(entry + 40, 8, target)
    s.leaving_count += 1


@function
def patched(s: State, patch: u64, what: u64, slot: u64, offset: u64, done: u64, target: u64) -> u64:
    """What goes into a place, before its addend, where it does not depend on where the code lies."""
    source = what >> 24 & 255
    match source:
        case 1:
            return operand_at(slot, what)
        case 2:
            return register_place(patch, slot, what)
        case 3:
            return u64(offset - s.stitch_entry)
        case 4:
            return done
        case 5:
            return u64(done + 1)
        case 6:
            return u64(target - s.stitch_entry)
        case 7:
            return slot_at(0, target)
        case 8:
            return host_load(slot, 8)
        case _:
            return 0


@function
def copy_stencil(s: State, stencil: u64, slot: u64, offset: u64, done: u64, target: u64) -> None:
    """Copy a stencil to the end of the block and patch it; `target`: page offset that its way out goes to."""
    start = u64(s.stitch_next)
    code = host_load(stencil + CODE, 8)
    size = host_load(stencil + CODE_SIZE, 8)
    for i in range(u64(size + 7) >> 3):
        host_store(u64(start + s.stitch_writable + 8 * i), 8, host_load(u64(code + 8 * i), 8))
    s.stitch_next = u64(start + size)
    patches = host_load(stencil + PATCHES, 8)
    for i in range(host_load(stencil + PATCH_COUNT, 8)):
        patch = u64(patches + i * PATCH)
        what = host_load(patch + WHAT, 8)
        place = u64(start + (what & 0xFFFF))
        source = what >> 24 & 255
        value = host_load(patch + ADDEND, 8)
        if source >= TO_TAKEN:
            note_leaving(s, place, source, slot, offset, done, target)
        elif source == TO_NEXT:
            value = u64(value + s.stitch_next)
        else:
            value = u64(value + patched(s, patch, what, slot, offset, done, target))
        if what >> 56 != 0:
            value = u64(value - place)
        write_host(u64(place + s.stitch_writable), what >> 16 & 15, value)


@function
def write_way_out(s: State, way: u64, slot: u64, offset: u64, done: u64, target: u64) -> None:
    """Copy one way out of the block: to the instruction's handler, or behind it to the target of its jump."""
    if way == TO_BAIL:
        copy_stencil(s, u64(s.stencil_parts + STENCIL), slot, offset, done, offset)
    elif target < 4096:
        copy_stencil(s, u64(s.stencil_parts + 2 * STENCIL), slot, offset, u64(done + 1), target)
    else:
        copy_stencil(s, u64(s.stencil_parts + 3 * STENCIL), slot, offset, u64(done + 1), target)


@function
def write_ways_out(s: State, which: u64) -> None:
    """Copy the ways out of one kind and have the places that leave jump there."""
    before = 0
    there = 0
    for i in range(s.leaving_count):
        entry = u64(s.leaving + i * LEAVING)
        way = host_load(entry + 8, 8)
        if way == which:
            place = host_load(entry, 8)
            done = host_load(entry + 32, 8)
            if u64(way << 32 | done) != u64(before):
                there = u64(s.stitch_next)
                before = u64(way << 32 | done)
                slot = host_load(entry + 16, 8)
                offset = host_load(entry + 24, 8)
                write_way_out(s, way, slot, offset, done, host_load(entry + 40, 8))
            write_host(u64(place + s.stitch_writable), 4, u64(there - place - 4))


def place_of(patch: u64, slot: u64) -> u64:
    """A register's place in the state, from one of a stencil's places."""
    return u64(register_place(patch, slot, host_load(patch + WHAT, 8)) + host_load(patch + ADDEND, 8))


@function
def fitting(s: State, stencil: u64, slot: u64) -> u64:
    """Of an instruction's stencils the one that finds carried what is; notes what it carries on."""
    places = host_load(stencil + PLACES, 8)
    chosen = u64(stencil)
    for i in range(host_load(stencil + SOURCES, 8)):
        if place_of(u64(places + (i + 1) * PATCH), slot) == s.stitch_carried:
            chosen = u64(u64(chosen) + (STENCIL << (i & 7)))
    match host_load(stencil + YIELDS, 8):
        case 1:
            s.stitch_carried = NOT_CARRIED
        case 2:
            s.stitch_carried = place_of(places, slot)
        case _:
            pass
    return u64(chosen)


def jump_target(stencil: u64, slot: u64, offset: u64) -> u64:
    """Page offset that an instruction's jump goes to; any beyond the page is far away."""
    what = host_load(stencil + JUMP, 8)
    operand = operand_at(slot, what) if what != 0 else 0
    return u64(offset + operand + host_load(stencil + JUMP_ADDEND, 8))


def hold(page: u64, offset: u64, stencil: u64) -> None:
    """Say on the page that a block holds an instruction."""
    for i in range(host_load(stencil + LENGTH, 8) >> UNIT_SHIFT):
        host_store(u64(translated_map(page) + (offset >> UNIT_SHIFT) + i), 1, 1)


@function
def stitch(s: State, page: u64, entry: u64) -> u64:
    """Make the block that begins at a page offset and install it; gives its number of instructions."""
    if u64(s.stitch_end - s.stitch_next) < LARGEST_BLOCK or u64(s.stitch_rare_end - s.stitch_rare) < LARGEST_BLOCK:
        s.stitch_full = 1
        return 0
    start = u64(s.stitch_next)
    s.stitch_entry = entry
    s.leaving_count = 0
    s.stitch_carried = NOT_CARRIED
    copy_stencil(s, s.stencil_parts, slot_at(page, entry), entry, 0, entry)
    offset = entry
    done = 0
    going_on = 1
    for _ in range(LONGEST_BLOCK):
        at = u64(offset)
        before = u64(done)
        slot = slot_at(page, at)
        stencil = find_stencil(s, host_load(slot, 8)) if at < 4096 else 0
        if stencil == 0 or host_load(stencil + ENDING, 8) == NONE:
            break
        chosen = fitting(s, stencil, slot)
        if u64(s.leaving_count + host_load(chosen + PATCH_COUNT, 8)) > MOST_LEAVING:
            break  # the list may not hold all places where this one leaves
        target = jump_target(stencil, slot, at)
        copy_stencil(s, chosen, slot, at, before, target)
        hold(page, at, stencil)
        done = u64(before + 1)
        ending = host_load(stencil + ENDING, 8)
        if ending == LEAVES:
            going_on = 0
            break
        if ending == ENDS_TAKEN and (target >= 4096 or target <= at):
            write_way_out(s, TO_TAKEN, slot, at, before, target)
            going_on = 0
            break
        offset = target if ending == ENDS_TAKEN else u64(at + host_load(stencil + LENGTH, 8))
    length = u64(done)
    if length == 0:
        s.stitch_next = start
        return 0
    s.stitch_behind = 4096
    if u64(going_on) != 0:
        s.stitch_behind = u64(offset)
        write_way_out(s, TO_TAKEN, slot_at(page, u64(offset)), u64(offset), u64(length - 1), u64(offset))
    write_ways_out(s, TO_TAKEN)
    end = u64(s.stitch_next + 15) & ~15
    s.stitch_next = s.stitch_rare
    write_ways_out(s, TO_BAIL)
    s.stitch_rare = s.stitch_next
    s.stitch_next = end
    host_store(slot_at(page, entry), 8, start)
    s.stitched_blocks += 1
    s.stitched_instructions = u64(s.stitched_instructions + length)
    return length


@function
def heated(s: State, address: u64, page: u64) -> u64:
    """A counter of jumps came round: stitch the place, or leave so that it is translated.

    Gives the slot to run, 0 to leave. The first place of a page leaves, too, so that the translations that are kept of
    the page are installed.
    """
    offset = address & 0xFFF
    slot = slot_at(page, offset)
    counter = counter_at(page, offset)
    rounds = (host_load(u64(counter + 1), 1) + 1) & 255
    host_store(counter, 2, rounds << 8 | s.heat_start)
    if page == s.lonely_page:
        return slot
    if s.stencil_count != 0 and s.breakpoint_count == 0:
        warm(s, page, offset)
    if rounds == s.hot or s.stitch_full != 0:
        s.code_page = page
        s.exit_reason = Exit.SERVICE
        return 0
    if s.pages_kept != 0 and host_load(page_words(page) + ASKED, 8) == 0 and s.breakpoint_count == 0:
        host_store(page_words(page) + ASKED, 8, 1)
        s.code_page = page
        s.asks = 1
        s.exit_reason = Exit.SERVICE
        return 0
    return slot


@function
def arrived_at(s: State, address: u64, page: u64, slot: u64) -> u64:
    """Count an arrival that was no jump of a handler's, as that does; gives the slot to run, 0 to leave."""
    place = counter_at(page, address & 0xFFF)
    count = (host_load(place, 1) + 1) & 255
    host_store(place, 1, count)
    return heated(s, address, page) if count == 0 else slot


def warm(s: State, page: u64, offset: u64) -> None:
    """Stitch the block at a place, and what it goes on to; an instruction without a stencil is stepped over."""
    at = u64(offset)
    for _ in range(MOST_BLOCKS):
        stencil = find_stencil(s, host_load(slot_at(page, u64(at)), 8)) if u64(at) < 4096 else 0
        if stencil == 0:
            break
        if host_load(stencil + ENDING, 8) == NONE:
            at = u64(at + host_load(stencil + LENGTH, 8))
        elif stitch(s, page, u64(at)) == 0:
            break
        else:
            at = u64(s.stitch_behind)
