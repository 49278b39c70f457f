"""Where code is found: code pages for frames, the fetch side of the shadow page table, decoding."""

from guesthouse.virtual.memory.code_page import (
    FRAME_PAGE,
    HOST_PAGE,
    NEXT_FREE,
    SETTLED_IN,
    clear_code_page,
    code_page_bytes,
    page_words,
    scratch_of,
    slot_at,
)
from guesthouse.virtual.memory.crew import close_gate, unsettle
from guesthouse.virtual.memory.frames import CODE
from guesthouse.virtual.memory.peers import change_state, own_entry
from guesthouse.virtual.memory.shadow import (
    DO_NOT_CACHE,
    FETCH,
    FETCH_BANK,
    FETCH_ENTRIES,
    FETCH_ENTRY,
    PASS_BREAKPOINTS,
    SUSPENDED,
    forget_translations,
    frame_of,
    place_in,
)
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.hooks import UNIT_SHIFT, access_fault, fetch_context, length, translate
from guesthouse.virtual.spec.host_words import Handler, host_decode, host_handler, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import MASK64, State, Trap, divide, flag, u64

FIELDS = (
    Field("fetch_bank", saved=False, doc="fetch side of the present context"),
    Field("code_page", saved=False, doc="code page found last"),
    Field("code_pool", saved=False, doc="host address of the pool of code pages"),
    Field("code_next", saved=False, doc="its first free page"),
    Field("code_end", saved=False, doc="its end"),
    Field("code_resets", saved=False, doc="times the pool ran full and was emptied"),
    Field("lonely_page", saved=False, doc="code page of sentinels, for code that may not stay decoded"),
    Field("fetch_misses", saved=False, doc="misses of the fetch side"),
    Field("breakpoints", saved=False, doc="host address of the breakpoints' guest-virtual addresses"),
    Field("breakpoint_count", saved=False, doc="their number"),
)


@function
def new_code_page(s: State, frame: u64, physical: u64) -> u64:
    """Give a frame its code page; empties the pool where it is full."""
    page = s.code_free
    if page != 0:
        s.code_free = host_load(page_words(page) + NEXT_FREE, 8)
    else:
        if u64(s.code_end - s.code_next) < code_page_bytes():
            drop_all_code(s)
        page = s.code_next
        s.code_next = u64(page + code_page_bytes())
        host_store(page_words(page) + SETTLED_IN, 8, 0)
    clear_code_page(s, page, place_in(s, frame, physical & ~0xFFF), frame, host_handler(Handler.DECODE))
    host_store(own_entry(s, frame) + CODE, 8, page)
    close_gate(s, frame)
    if s.peer_count > 1:
        unsettle(s, page)
    return page


@function
def drop_all_code(s: State) -> None:
    """Empty the pool: nothing is decoded any more."""
    for i in range(u64(divide(u64(s.code_next - s.code_pool), code_page_bytes()))):
        words = page_words(u64(s.code_pool + i * code_page_bytes()))
        frame = host_load(words + FRAME_PAGE, 8)
        if frame != 0:
            host_store(own_entry(s, frame) + CODE, 8, 0)
            change_state(frame, s.own_code, 0)
    s.code_next = s.code_pool
    s.code_free = 0
    s.unsettled = 0
    s.code_resets = u64(s.code_resets + 1)
    forget_translations(s)


@function
def find_code(s: State) -> u64:
    """Slot of the instruction at `pc`, or a trap; sets `code_page` and fills the fetch side."""
    address = u64(s.pc)
    context = fetch_context(s)
    entry = u64(s.fetch_banks + context * FETCH_BANK + ((address >> 12) & (FETCH_ENTRIES - 1)) * FETCH_ENTRY)
    if host_load(entry, 8) == address & ~0xFFF:
        s.code_page = host_load(entry + 8, 8)
        return slot_at(s.code_page, address & 0xFFF)
    s.fetch_misses = u64(s.fetch_misses + 1)
    page = translate(s, address, 1 << UNIT_SHIFT, FETCH, context)
    frame = frame_of(s, page & ~0xFFF)
    if frame == 0:
        access_fault(s, address, FETCH)
    if page & DO_NOT_CACHE != 0:
        s.code_page = s.lonely_page
        host_store(page_words(s.lonely_page) + HOST_PAGE, 8, place_in(s, frame, page & ~0xFFF))
        return decode_at(s, address, s.lonely_page)
    code = host_load(own_entry(s, frame) + CODE, 8)
    if code == 0:
        code = new_code_page(s, frame, page & ~0xFFF)
    s.code_page = code
    s.banks_used |= 1 << (context & 63)
    host_store(entry, 8, address & ~0xFFF)
    host_store(entry + 8, 8, code)
    return slot_at(code, address & 0xFFF)


@function
def fetch_place(s: State, address: u64) -> u64:
    """Host address of an instruction byte, or a trap."""
    page = translate(s, address, 1 << UNIT_SHIFT, FETCH, fetch_context(s))
    physical = (page & ~0xFFF) | (address & 0xFFF)
    frame = frame_of(s, physical)
    if frame == 0:
        access_fault(s, address, FETCH)
    return place_in(s, frame, physical)


@function
def instruction_bytes(s: State, address: u64, place: u64) -> u64:
    """The bytes of the instruction at an address whose first byte lies at host `place`, or a trap."""
    available = 4096 - (address & 0xFFF)
    word = 0
    if available >= 8:  # in one piece: others may be writing there
        word = host_load(place, 8)
    else:
        for i in range(available):
            word = word | (host_load(u64(place + i), 1) << ((8 * i) & 63))
    size = length(u64(word))
    if size > available:
        rest = fetch_place(s, u64(address + available))
        for i in range(u64(size - available)):
            word = word | (host_load(u64(rest + i), 1) << ((8 * (available + i)) & 63))
    return u64(word) & (MASK64 >> ((64 - 8 * size) & 63))


def has_breakpoint(s: State, address: u64, mask: u64) -> flag:
    """Whether the bits under a mask of some breakpoint's address are these."""
    found = 0
    for i in range(s.breakpoint_count):
        if host_load(u64(s.breakpoints + 8 * i), 8) & mask == address:
            found = 1
            break
    return u64(found) != 0


@function
def break_at(s: State, address: u64, page: u64) -> u64:
    """Leave before the instruction at a breakpoint; where it is none, or is passed now, gives the slot to run."""
    s.pc = address
    if s.passing & PASS_BREAKPOINTS == 0 and has_breakpoint(s, address, MASK64):
        s.exit_reason = Exit.BREAKPOINT
        raise Trap(SUSPENDED, 0)
    slot = scratch_of(page)
    word = instruction_bytes(s, address, u64(host_load(page_words(page) + HOST_PAGE, 8) + (address & 0xFFF)))
    if host_decode(slot, word) == 0:
        host_store(slot, 8, host_handler(Handler.ILLEGAL))
    return slot


@function
def decode_at(s: State, address: u64, page: u64) -> u64:
    """Decode the instruction at `address` on its code page; gives the slot to run."""
    offset = address & 0xFFF
    s.pc = address
    word = instruction_bytes(s, address, u64(host_load(page_words(page) + HOST_PAGE, 8) + offset))
    if page == s.lonely_page:
        # Its first unit may be fetched; so must the others, where rights are not the page's.
        for i in range(1, length(word) >> UNIT_SHIFT):
            fetch_place(s, u64(address + (i << UNIT_SHIFT)))
    lasting = page != s.lonely_page and length(word) <= 4096 - offset
    slot = slot_at(page, offset) if lasting else scratch_of(page)
    if s.breakpoint_count != 0 and has_breakpoint(s, offset, 0xFFF):
        # The page may be mapped at other addresses too, so the handler looks at the whole address each time.
        if lasting:
            host_store(slot, 8, host_handler(Handler.BREAK))
        return break_at(s, address, page)
    if host_decode(slot, word) == 0:
        host_store(slot, 8, host_handler(Handler.ILLEGAL))
    return slot


@function
def fetched(s: State) -> u64:
    """The bytes of the instruction at `pc`, for trap values."""
    return instruction_bytes(s, s.pc, fetch_place(s, s.pc))
