"""Where code is found: decoded-instruction slots per physical page, and the fetch side of the shadow page table.

A page of code has one 16-byte slot for each place where an instruction may begin: the address of the native handler and
eight bytes of operands. A slot not decoded yet holds the handler that decodes it; the first slot of a translated region
holds the region. Behind the slots lie a sentinel (control ran off the page), a scratch slot for an instruction that
must not stay decoded, more sentinels, and the page's own words.
"""

from guesthouse.virtual.memory.frames import CODE, HAS_CODE, STATE
from guesthouse.virtual.memory.shadow import (
    DO_NOT_CACHE,
    FETCH,
    FETCH_BANK,
    FETCH_ENTRIES,
    FETCH_ENTRY,
    SLOT,
    forget_translations,
    frame_of,
    gate_writes,
    place_in,
)
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.hooks import UNIT_SHIFT, access_fault, fetch_context, length, translate
from guesthouse.virtual.spec.host_words import Handler, host_decode, host_handler, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import MASK64, State, divide, u64

SENTINELS = 32  # slots behind the page's own: a sentinel, the scratch slot, sentinels up to the longest instruction
SCRATCH = 1

# The page's own words, behind the sentinels.
HOST_PAGE, FRAME_PAGE = 0, 8
WORDS = 64
COUNTER = 2  # bytes of a slot's counter of jumps to it, behind the words; then a byte a slot: translated code is there

FIELDS = (
    Field("fetch_bank", saved=False, doc="fetch side of the present context"),
    Field("code_page", saved=False, doc="code page found last"),
    Field("code_pool", saved=False, doc="host address of the pool of code pages"),
    Field("code_next", saved=False, doc="its first free page"),
    Field("code_end", saved=False, doc="its end"),
    Field("code_resets", saved=False, doc="times the pool ran full and was emptied"),
    Field("lonely_page", saved=False, doc="code page of sentinels, for code that may not stay decoded"),
    Field("fetch_misses", saved=False, doc="misses of the fetch side"),
)


def slots_bytes() -> u64:
    """Bytes of a page's slots."""
    return (4096 >> UNIT_SHIFT) * SLOT


def page_words(page: u64) -> u64:
    """Host address of a code page's own words."""
    return u64(page + slots_bytes() + SENTINELS * SLOT)


def code_page_bytes() -> u64:
    """Bytes of a whole code page."""
    return slots_bytes() + SENTINELS * SLOT + WORDS + (4096 >> UNIT_SHIFT) * (COUNTER + 1)


def scratch_of(page: u64) -> u64:
    """Host address of a code page's scratch slot."""
    return u64(page + slots_bytes() + SCRATCH * SLOT)


@function
def clear_code_page(s: State, page: u64, host: u64, frame: u64, handler: u64) -> None:
    """Make a code page on which nothing is decoded."""
    for i in range(4096 >> UNIT_SHIFT):
        host_store(u64(page + i * SLOT), 8, handler)
    for i in range(SENTINELS):
        host_store(u64(page + slots_bytes() + i * SLOT), 8, host_handler(Handler.LOOKUP))
    words = page_words(page)
    host_store(words + HOST_PAGE, 8, host)
    host_store(words + FRAME_PAGE, 8, frame)
    for i in range((4096 >> UNIT_SHIFT) * (COUNTER + 1) >> 3):
        host_store(u64(words + WORDS + 8 * i), 8, 0)


@function
def new_code_page(s: State, frame: u64, physical: u64) -> u64:
    """Give a frame its code page; empties the pool where it is full."""
    if u64(s.code_end - s.code_next) < code_page_bytes():
        drop_all_code(s)
    page = s.code_next
    s.code_next = u64(page + code_page_bytes())
    clear_code_page(s, page, place_in(s, frame, physical & ~0xFFF), frame, host_handler(Handler.DECODE))
    host_store(frame + CODE, 8, page)
    host_store(frame + STATE, 8, host_load(frame + STATE, 8) | HAS_CODE)
    gate_writes(s, frame)
    return page


@function
def drop_all_code(s: State) -> None:
    """Empty the pool: nothing is decoded any more."""
    for i in range(u64(divide(u64(s.code_next - s.code_pool), code_page_bytes()))):
        words = page_words(u64(s.code_pool + i * code_page_bytes()))
        frame = host_load(words + FRAME_PAGE, 8)
        host_store(frame + CODE, 8, 0)
        host_store(frame + STATE, 8, host_load(frame + STATE, 8) & ~HAS_CODE)
    s.code_next = s.code_pool
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
        return u64(s.code_page + ((address & 0xFFF) >> UNIT_SHIFT) * SLOT)
    s.fetch_misses = u64(s.fetch_misses + 1)
    page = translate(s, address, 1 << UNIT_SHIFT, FETCH, context)
    frame = frame_of(s, page & ~0xFFF)
    if frame == 0:
        access_fault(s, address, FETCH)
    if page & DO_NOT_CACHE != 0:
        s.code_page = s.lonely_page
        host_store(page_words(s.lonely_page) + HOST_PAGE, 8, place_in(s, frame, page & ~0xFFF))
        return decode_at(s, address, s.lonely_page)
    code = host_load(frame + CODE, 8)
    if code == 0:
        code = new_code_page(s, frame, page & ~0xFFF)
    s.code_page = code
    host_store(entry, 8, address & ~0xFFF)
    host_store(entry + 8, 8, code)
    return u64(code + ((address & 0xFFF) >> UNIT_SHIFT) * SLOT)


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
    for i in range(available if available < 8 else 8):
        word = word | (host_load(u64(place + i), 1) << ((8 * i) & 63))
    size = length(u64(word))
    if size > available:
        rest = fetch_place(s, u64(address + available))
        for i in range(u64(size - available)):
            word = word | (host_load(u64(rest + i), 1) << ((8 * (available + i)) & 63))
    return u64(word) & (MASK64 >> ((64 - 8 * size) & 63))


@function
def decode_at(s: State, address: u64, page: u64) -> u64:
    """Decode the instruction at `address` on its code page; gives the slot to run."""
    offset = address & 0xFFF
    s.pc = address
    word = instruction_bytes(s, address, u64(host_load(page_words(page) + HOST_PAGE, 8) + offset))
    lasting = page != s.lonely_page and length(word) <= 4096 - offset
    slot = u64(page + (offset >> UNIT_SHIFT) * SLOT) if lasting else scratch_of(page)
    if host_decode(slot, word) == 0:
        host_store(slot, 8, host_handler(Handler.ILLEGAL))
    return slot


@function
def fetched(s: State) -> u64:
    """The bytes of the instruction at `pc`, for trap values."""
    return instruction_bytes(s, s.pc, fetch_place(s, s.pc))
