"""The layout of a code page, and undoing what is on it.

One 16-byte slot for each place where an instruction may begin: the address of the native handler, six bytes of
operands, and a counter of jumps that came there, so that a jump finds all it needs in one line of the host's cache. A
slot not decoded yet holds the handler that decodes it; the first slot of a translated region holds the region. Behind
the slots lie a sentinel (control ran off the page), a scratch slot for an instruction that must not stay decoded, more
sentinels, the page's own words, and a byte for each slot that says whether a translation holds it.
"""

from guesthouse.virtual.memory.frames import CODE
from guesthouse.virtual.memory.peers import change_state, own_entry
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.hooks import LONGEST, UNIT_SHIFT
from guesthouse.virtual.spec.host_words import Handler, host_handler, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import State, flag, u64

SLOT = 16  # bytes: the address of the handler, then
OPERANDS = 8  # the operands, then
COUNTER = 14  # a counter of jumps: a byte that counts, and one for the times that it came round (see `heated`)
SENTINELS = 32  # slots behind the page's own: a sentinel, the scratch slot, sentinels up to the longest instruction
SCRATCH = 1

# The page's own words: host address of the bytes, frame, writes that hit the page, the next free code page; for `crew`:
# the next page that is not settled, the round in which it will be (0: it is settled); and whether the translations that
# are kept of the page have been asked for.
HOST_PAGE, FRAME_PAGE, WRITES, NEXT_FREE, NEXT_UNSETTLED, SETTLED_IN, ASKED = 0, 8, 16, 24, 32, 40, 48
WORDS = 64
COUNTED = 224  # jumps that each counter begins with: a place is warm sooner than it comes round to warm again

MANY_WRITES = 64  # to one page: it has become data

FIELDS = (
    Field("code_dropped", saved=False, doc="1: decoded code was undone since the last look at everything else"),
    Field("dropped", saved=False, doc="writes to pages that hold code"),
    Field("code_free", saved=False, doc="first of the code pages given back, 0 for none"),
    Field("heat_first", saved=False, doc="where a counter of jumps begins; heat is looked at when its byte is zero"),
    Field("heat_start", saved=False, doc="where that byte begins again"),
)


def slots_bytes() -> u64:
    """Bytes of a page's slots."""
    return (4096 >> UNIT_SHIFT) * SLOT


def page_words(page: u64) -> u64:
    """Host address of a code page's own words."""
    return u64(page + slots_bytes() + SENTINELS * SLOT)


def slot_at(page: u64, offset: u64) -> u64:
    """Host address of the slot of a page offset."""
    return u64(page + (offset >> UNIT_SHIFT) * SLOT)


def counter_at(page: u64, offset: u64) -> u64:
    """Host address of the counter of jumps to a page offset."""
    return u64(slot_at(page, offset) + COUNTER)


def translated_map(page: u64) -> u64:
    """Host address of the bytes that say which slots translations hold."""
    return u64(page_words(page) + WORDS)


def code_page_bytes() -> u64:
    """Bytes of a whole code page."""
    return slots_bytes() + SENTINELS * SLOT + WORDS + (4096 >> UNIT_SHIFT)


def scratch_of(page: u64) -> u64:
    """Host address of a code page's scratch slot."""
    return u64(page + slots_bytes() + SCRATCH * SLOT)


def fill_slots(page: u64, handler: u64) -> None:
    """Put one handler into every slot."""
    for i in range(4096 >> UNIT_SHIFT):
        host_store(u64(page + i * SLOT), 8, handler)


@function
def clear_code_page(s: State, page: u64, host: u64, frame: u64, handler: u64) -> None:
    """Make a code page on which nothing is decoded."""
    fill_slots(page, handler)
    for i in range(4096 >> UNIT_SHIFT):
        host_store(u64(page + i * SLOT + COUNTER), 2, s.heat_first)
    for i in range(SENTINELS):
        host_store(u64(page + slots_bytes() + i * SLOT), 8, host_handler(Handler.LOOKUP))
    words = page_words(page)
    host_store(words + HOST_PAGE, 8, host)
    host_store(words + FRAME_PAGE, 8, frame)
    host_store(words + WRITES, 8, 0)
    host_store(words + ASKED, 8, 0)
    for i in range(4096 >> UNIT_SHIFT >> 3):
        host_store(u64(translated_map(page) + 8 * i), 8, 0)


@function
def drop_code(s: State, frame: u64, physical: u64, size: u64) -> flag:
    """Undo every instruction that has a byte among those written; gives 1 where the page has none left at all."""
    page = host_load(own_entry(s, frame) + CODE, 8)
    offset = physical & 0xFFF
    before = LONGEST - (1 << UNIT_SHIFT)
    first = u64(offset - before if offset >= before else 0) >> UNIT_SHIFT
    last = u64(offset + size + (1 << UNIT_SHIFT) - 1) >> UNIT_SHIFT
    decode = host_handler(Handler.DECODE)
    hit = 0
    for i in range(first, last):
        host_store(u64(page + SLOT * i), 8, decode)
        hit = hit | host_load(u64(translated_map(page) + i), 1)
    s.code_dropped = 1
    s.dropped = u64(s.dropped + 1)
    writes = u64(host_load(page_words(page) + WRITES, 8) + 1)
    host_store(page_words(page) + WRITES, 8, writes)
    host_store(page_words(page) + ASKED, 8, 0)
    if writes >= MANY_WRITES:
        give_back(s, page, frame)
        return 1
    if u64(hit) != 0:
        drop_translations(page)
    return 0


def give_back(s: State, page: u64, frame: u64) -> None:
    """Part a code page from its frame. Who is still on it finds only ways to look up where to go on."""
    fill_slots(page, host_handler(Handler.LOOKUP))
    host_store(own_entry(s, frame) + CODE, 8, 0)
    change_state(frame, s.own_code, 0)
    host_store(page_words(page) + FRAME_PAGE, 8, 0)
    host_store(page_words(page) + NEXT_FREE, 8, s.code_free)
    s.code_free = page


@function
def drop_translations(page: u64) -> None:
    """Undo every translation that holds code of this page, and the decoding with it."""
    fill_slots(page, host_handler(Handler.DECODE))
    for i in range(4096 >> UNIT_SHIFT):
        host_store(u64(translated_map(page) + i), 1, 0)
