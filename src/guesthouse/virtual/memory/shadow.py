"""The shadow page table: guest virtual to host address, as a software TLB that native code probes inline.

Everything here is in the semantics language and runs natively, on a miss of the inlined fast path. There is one bank of
entries for each translation context (mode, SUM, MXR ...), so that a change of these is a switch, not a flush.
A tag is the guest-virtual page; an impossible one (`NO_TAG`) matches nothing.
"""

from guesthouse.virtual.memory.code_page import drop_code
from guesthouse.virtual.memory.frames import CLEAN, FRAME, GATED, HAS_CODE, HOST, SEVERAL, STATE, WATCHED, WRITER
from guesthouse.virtual.memory.peers import change_state, own_entry, tell_peers
from guesthouse.virtual.memory.shortcut import answers, collect, collects
from guesthouse.virtual.spec.access import Access
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.hooks import access_fault, data_context, translate
from guesthouse.virtual.spec.host_words import host_compare_exchange, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import MASK64, State, Trap, fence, flag, u64

# A bank is four arrays of words, so that a probe needs one index: read tags, write tags, host minus guest address,
# frame.
ENTRIES = 4096
ENTRY = 8
READ_TAG, WRITE_TAG, ADDEND, FRAME_OF = (ENTRY * ENTRIES * array for array in range(4))
BANK = 4 * ENTRY * ENTRIES
NO_TAG = 1 << 11  # neither a page nor a misaligned address with its low bits kept looks like this

LOAD, STORE, FETCH = Access.LOAD, Access.STORE, Access.FETCH
MAY_LOAD, MAY_STORE, MAY_FETCH, DO_NOT_CACHE = 1, 2, 4, 8  # rights that `translate` gives

# A watched range: its first guest-physical address, the one behind its last, kinds of access.
WATCH = 24
WATCH_FIRST, WATCH_END, WATCH_KINDS = 0, 8, 16
WATCH_READS, WATCH_WRITES = 1, 2
PASS_BREAKPOINTS, PASS_WATCHES = 1, 2

SUSPENDED = MASK64  # a trap cause that is not the guest's: leave with `exit_reason`

FIELDS = (
    Field("ram_base", saved=False, doc="guest-physical address of RAM"),
    Field("ram_size", saved=False, doc="bytes of RAM"),
    Field("ram_host", saved=False, doc="host address of RAM's default mapping"),
    Field("frames", saved=False, doc="host address of the frame table"),
    Field("banks", saved=False, doc="host address of the shadow page table"),
    Field("bank_count", saved=False, doc="its number of banks"),
    Field("banks_used", saved=False, doc="bit i: bank i holds entries"),
    Field("banks_ready", saved=False, doc="bit i: what bank i does not hold has the impossible tag"),
    Field("data_bank", saved=False, doc="the bank of the present context"),
    Field("near_addend", saved=False, doc="host minus guest address of the page that `places_near` found first"),
    Field("far_addend", saved=False, doc="the same of the page behind it, if that was asked for, too"),
    Field("physical", saved=False, doc="guest-physical address last translated"),
    Field("fetch_banks", saved=False, doc="host address of the fetch side: a bank a context"),
    Field("misses", saved=False, doc="shadow page table misses"),
    Field("watches", saved=False, doc="host address of the watched ranges"),
    Field("watch_count", saved=False, doc="their number"),
    Field("passing", saved=False, doc="what does not stop now: bit 0 breakpoints, bit 1 watches"),
)


@function
def frame_of(s: State, physical: u64) -> u64:
    """Host address of a physical page's frame entry, 0 where there is no RAM."""
    offset = u64(physical - s.ram_base)
    if offset >= s.ram_size:
        return 0
    return u64(s.frames + (offset >> 12) * FRAME)


def place_in(s: State, frame: u64, physical: u64) -> u64:
    """Host address of a byte of a frame."""
    host = host_load(frame + HOST, 8)
    if host == 0:
        return u64(s.ram_host + u64(physical - s.ram_base))
    return u64(host + (physical & 0xFFF))


@function
def physical_load(s: State, physical: u64, size: u64) -> u64:
    """A word of RAM by physical address, all ones where there is none."""
    frame = frame_of(s, physical)
    if frame == 0:
        return MASK64
    return read_host(place_in(s, frame, physical), size)


@function
def physical_compare_exchange(s: State, physical: u64, size: u64, expected: u64, desired: u64) -> u64:
    """Compare and exchange of an 8-byte word of RAM; passes the write gate."""
    frame = frame_of(s, physical)
    if frame == 0:
        return 0
    if host_load(frame + STATE, 8) & GATED != 0:
        pass_gate(s, frame, physical, 8)
    return host_compare_exchange(place_in(s, frame, physical), 8, expected, desired)


def read_host(place: u64, size: u64) -> u64:
    """Read 1, 2, 4 or 8 bytes of host memory."""
    match size:
        case 1:
            return host_load(place, 1)
        case 2:
            return host_load(place, 2)
        case 4:
            return host_load(place, 4)
        case _:
            return host_load(place, 8)


def write_host(place: u64, size: u64, value: u64) -> None:
    """Write 1, 2, 4 or 8 bytes of host memory."""
    match size:
        case 1:
            host_store(place, 1, value)
        case 2:
            host_store(place, 2, value)
        case 4:
            host_store(place, 4, value)
        case _:
            host_store(place, 8, value)


@function
def pass_gate(s: State, frame: u64, physical: u64, size: u64) -> None:
    """What a write to a gated page must do first: mark it dirty, drop the code in the bytes written."""
    state = host_load(frame + STATE, 8)
    if state & CLEAN != 0:
        change_state(frame, CLEAN, 0)
    if state & HAS_CODE & ~s.own_code != 0:
        tell_peers(s, u64(state), physical, size)
    if state & s.own_code != 0 and drop_code(s, frame, physical, size):
        forget_fetches(s)


def slot_of(s: State, context: u64, address: u64) -> u64:
    """Host address of the one entry that may hold a guest-virtual page."""
    return u64(s.banks + context * BANK + ((address >> 12) & (ENTRIES - 1)) * ENTRY)


def hits(slot: u64, address: u64, access: u64) -> flag:
    """Whether an entry holds a page for an access: what may be loaded may be managed, too."""
    tag = host_load(slot + WRITE_TAG, 8) if access == STORE else host_load(slot + READ_TAG, 8)
    return tag == address & ~0xFFF


@function
def data_place(s: State, address: u64, size: u64, access: u64) -> u64:
    """Host address of guest-virtual data within one page, 0 where it is not RAM; fills the shadow page table."""
    context = data_context(s)
    slot = slot_of(s, context, address)
    if hits(slot, address, access):
        return u64(address + host_load(slot + ADDEND, 8))
    s.misses = u64(s.misses + 1)
    page = translate(s, address, size, access, context)
    physical = (page & ~0xFFF) | (address & 0xFFF)
    s.physical = physical
    frame = frame_of(s, physical)
    if frame == 0:
        return 0
    place = place_in(s, frame, physical)
    state = host_load(frame + STATE, 8)
    if state & WATCHED != 0:
        stop_where_watched(s, physical, size, access)
    if access == STORE and state & GATED != 0:
        pass_gate(s, frame, physical, size)
        state = host_load(frame + STATE, 8)
    if page & DO_NOT_CACHE != 0:
        return place
    fill(s, slot, context, address & ~0xFFF, frame, u64(place - address), page, state)
    return place


@function
def stop_where_watched(s: State, physical: u64, size: u64, access: u64) -> None:
    """Leave before an access to a watched range, unless watches are passed now."""
    if s.passing & PASS_WATCHES == 0:
        kind = WATCH_WRITES if access == STORE else WATCH_READS
        for i in range(s.watch_count):
            if watches(u64(s.watches + i * WATCH), physical, size, kind):
                s.exit_reason = Exit.WATCH
                s.exit_address = physical
                s.exit_size = size
                s.exit_value = access
                raise Trap(SUSPENDED, 0)


def watches(watch: u64, physical: u64, size: u64, kind: u64) -> flag:
    """Whether a watched range meets these bytes, and is watched for this kind of access."""
    if host_load(watch + WATCH_KINDS, 8) & kind == 0:
        return 0
    return physical < host_load(watch + WATCH_END, 8) and host_load(watch + WATCH_FIRST, 8) < u64(physical + size)


def fill(s: State, slot: u64, context: u64, tag: u64, frame: u64, addend: u64, rights: u64, state: u64) -> None:
    """Put a translation into its slot; a gated page gets no write tag, a watched one no tag at all.

    With several processors, the page may become gated just now. The other one makes it so and then takes our tags; we
    put our tag there, and a note of it, and then look again: a fence between the two on either side, so one of us sees
    the other. The note may be taken back while another one is made; that leaves one too many, which does no harm.
    """
    s.banks_used |= 1 << (context & 63)
    host_store(slot + READ_TAG, 8, tag if rights & MAY_LOAD != 0 and state & WATCHED == 0 else NO_TAG)
    writable = rights & MAY_STORE != 0 and state & GATED == 0
    host_store(slot + WRITE_TAG, 8, tag if writable else NO_TAG)
    if writable:
        place = u64(own_entry(s, frame) + WRITER)
        writer = host_load(place, 8)
        host_store(place, 8, slot if writer == 0 or writer == slot else SEVERAL)
    host_store(slot + ADDEND, 8, addend)
    host_store(slot + FRAME_OF, 8, frame)
    if s.peer_count > 1 and writable:
        fence(s)
        if host_load(frame + STATE, 8) & GATED != 0:
            host_store(slot + WRITE_TAG, 8, NO_TAG)


@function
def slow_load(s: State, address: u64, size: u64) -> u64:
    """A load that the fast path could not do: a miss, a misaligned one, a device."""
    first = 4096 - (address & 0xFFF)
    if size > first:
        return load_across(s, address, size, first)
    place = data_place(s, address, size, LOAD)
    if place != 0:
        return read_host(place, size)
    if s.exit_answered == 1:
        s.exit_answered = 0
        return s.exit_value
    if answers(s, size):
        return s.answered_with
    ask_device(s, address, size, LOAD, 0)
    return 0


def load_across(s: State, address: u64, size: u64, first: u64) -> u64:
    """A load across two pages, both translated before a byte is read."""
    place = data_place(s, address, first, LOAD)
    rest = data_place(s, u64(address + first), u64(size - first), LOAD)
    if place == 0 or rest == 0:
        access_fault(s, address, LOAD)
    value = 0
    for i in range(size):
        byte = host_load(u64(place + i), 1) if i < first else host_load(u64(rest + (i - first)), 1)
        value = value | (byte << ((8 * i) & 63))
    return u64(value)


@function
def slow_store(s: State, address: u64, size: u64, value: u64) -> None:
    """A store that the fast path could not do: a miss, a gated page, a misaligned one, a device."""
    first = 4096 - (address & 0xFFF)
    if size > first:
        store_across(s, address, size, first, value)
        return
    place = data_place(s, address, size, STORE)
    if place != 0:
        write_host(place, size, value)
    elif s.exit_answered == 1:
        s.exit_answered = 0
    elif collects(s, size):
        collect(s, value)
    else:
        ask_device(s, address, size, STORE, value)


def store_across(s: State, address: u64, size: u64, first: u64, value: u64) -> None:
    """A store across two pages, both probed before a byte changes."""
    place = data_place(s, address, first, STORE)
    rest = data_place(s, u64(address + first), u64(size - first), STORE)
    if place == 0 or rest == 0:
        access_fault(s, address, STORE)
    for i in range(size):
        if i < first:
            host_store(u64(place + i), 1, value >> ((8 * i) & 63))
        else:
            host_store(u64(rest + (i - first)), 1, value >> ((8 * i) & 63))


def ask_device(s: State, address: u64, size: u64, access: u64, value: u64) -> None:
    """Leave to the monitor for a device access, unless it has said that nothing is there."""
    if s.exit_answered == 2:
        s.exit_answered = 0
        access_fault(s, address, access)
    s.exit_reason = Exit.DEVICE_READ if access == LOAD else Exit.DEVICE_WRITE
    s.exit_address = s.physical
    s.exit_size = size
    s.exit_value = value
    raise Trap(SUSPENDED, 0)


@function
def atomic_place(s: State, address: u64, size: u64) -> u64:
    """Host address for an atomic access; devices do not take part in those."""
    place = data_place(s, address, size, STORE)
    if place == 0:
        access_fault(s, address, STORE)
    return place


@function
def places_near(s: State, address: u64, size: u64, before: u64, behind: u64, align: u64, access: u64) -> u64:
    """Have an access's page in the shadow page table, and find it and its neighbour: 1, or 0 where they are not there.

    The access is one of several: those reach from `before` bytes before its address to `behind` bytes behind, in two
    pages at most, and are aligned where this one is at a multiple of `align`. It traps as itself; for others, nothing.
    """
    if address & (align - 1) != 0 or data_place(s, address, size, access) == 0:
        return 0
    context = data_context(s)
    first = u64(address - before)
    last = u64(address + behind - 1)
    near = slot_of(s, context, first)
    far = slot_of(s, context, last)
    if last < first or not hits(near, first, access) or not hits(far, last, access):
        return 0
    s.near_addend = host_load(near + ADDEND, 8)
    s.far_addend = host_load(far + ADDEND, 8)
    return 1


@function
def touch(s: State, address: u64, access: u64, size: u64) -> None:
    """The trap that an access would raise, without the access: no watch sees it, nothing is remembered of it."""
    context = data_context(s)
    if not hits(slot_of(s, context, address), address, access):
        translate(s, address, size, access, context)


@function
def zero_block(s: State, address: u64, size: u64) -> None:
    """Clear the aligned block of `size` bytes that holds the address; where there is no RAM, that one is to blame."""
    first = address & u64(-size)
    place = data_place(s, first, size, STORE)
    if place == 0:
        access_fault(s, address, STORE)
    for i in range(size >> 3):
        host_store(u64(place + 8 * i), 8, 0)


@function
def forget_translations(s: State) -> None:
    """Drop every entry of every bank in use, and the fetch side."""
    for bank in range(s.bank_count):
        if (s.banks_used >> (bank & 63)) & 1 != 0:
            empty_bank(s, bank)
    s.banks_used = 0


def empty_bank(s: State, bank: u64) -> None:
    """Give every entry of a bank the impossible tag, on the fetch side too."""
    for i in range(ENTRIES):
        slot = u64(s.banks + bank * BANK + i * ENTRY)
        host_store(slot + READ_TAG, 8, NO_TAG)
        host_store(slot + WRITE_TAG, 8, NO_TAG)
    for i in range(FETCH_ENTRIES):
        host_store(u64(s.fetch_banks + bank * FETCH_BANK + i * FETCH_ENTRY), 8, NO_TAG)


@function
def prepare_bank(s: State, bank: u64) -> None:
    """Make a bank fit for use before its first one."""
    empty_bank(s, bank)
    s.banks_ready |= 1 << (bank & 63)


@function
def forget_context(s: State, context: u64) -> None:
    """Drop every entry of one context."""
    if (s.banks_used >> (context & 63)) & 1 != 0:
        s.banks_used &= ~(1 << (context & 63))
        empty_bank(s, context)


@function
def forget_translation(s: State, address: u64, pages: u64) -> None:
    """Drop the entries of some pages in every bank, and the fetch side."""
    first = address & ~0xFFF
    for bank in range(s.bank_count):
        if (s.banks_used >> (bank & 63)) & 1 != 0:
            for i in range(pages):
                slot = slot_of(s, bank, u64(first + 4096 * i))
                host_store(slot + READ_TAG, 8, NO_TAG)
                host_store(slot + WRITE_TAG, 8, NO_TAG)
            for i in range(pages if pages < FETCH_ENTRIES else FETCH_ENTRIES):
                number = (u64(first + 4096 * i) >> 12) & (FETCH_ENTRIES - 1)
                entry = u64(s.fetch_banks + bank * FETCH_BANK + number * FETCH_ENTRY)
                if u64(host_load(entry, 8) - first) >> 12 < pages:
                    host_store(entry, 8, NO_TAG)


FETCH_ENTRIES = 4096
FETCH_ENTRY = 16  # tag, code page
FETCH_BANK = FETCH_ENTRIES * FETCH_ENTRY


@function
def forget_fetches(s: State) -> None:
    """Drop every entry of the fetch side."""
    for bank in range(s.bank_count):
        if (s.banks_used >> (bank & 63)) & 1 != 0:
            for i in range(FETCH_ENTRIES):
                host_store(u64(s.fetch_banks + bank * FETCH_BANK + i * FETCH_ENTRY), 8, NO_TAG)


@function
def gate_writes(s: State, frame: u64) -> None:
    """Take the write tags of a page that has become gated."""
    take_write_tags(s, s.own_frames, s.banks, s.banks_used, frame)


def take_write_tags(s: State, table: u64, banks: u64, used: u64, frame: u64) -> None:
    """Take a processor's write tags of a page, given its table of frames, its banks and those in use."""
    place = u64(table + u64(frame - s.frames) + WRITER)
    writer = host_load(place, 8)
    host_store(place, 8, 0)
    if writer == SEVERAL:
        search_writers(s, banks, used, frame)
    elif writer != 0 and host_load(writer + FRAME_OF, 8) == frame:
        host_store(writer + WRITE_TAG, 8, NO_TAG)


@function
def search_writers(s: State, banks: u64, used: u64, frame: u64) -> None:
    """Take the write tags of a page, wherever in some banks they are."""
    for bank in range(s.bank_count):
        if (used >> (bank & 63)) & 1 != 0:
            for i in range(ENTRIES):
                slot = u64(banks + bank * BANK + i * ENTRY)
                if host_load(slot + FRAME_OF, 8) == frame:
                    host_store(slot + WRITE_TAG, 8, NO_TAG)
