"""Several processors over one memory: closing the write gate, and code that another one may still be writing to.

Each processor decodes for itself, so nobody else changes what it is running. Two promises make that right. A write by
any processor to a page whose code one holds passes the gate (`shadow.pass_gate`), so that one is told of it. And a
processor that executes FENCE.I sees all stores that came before, in the order of all memory accesses; until then
RISC-V lets it run the old instructions.

The gate closes without anybody waiting: the page's state is set, then the write tags are taken from all processors.
But one of them may have found its tag, or passed the gate, an instant before, and its store is still to come. So a page
is *unsettled* when the gate closes and whenever a write to it is told: a FENCE.I undoes the decoding of all unsettled
pages, as it does at last when the page settles. That is when each other processor has left native code, or looked
around, since then: between two looks no store is half done. These looks are counted in *rounds*; one that had begun
already does not count, and a tag may be being taken by a third one meanwhile, so two more must pass.
"""

from guesthouse.virtual.memory.code_page import (
    FRAME_PAGE,
    NEXT_UNSETTLED,
    SETTLED_IN,
    drop_code,
    drop_translations,
    page_words,
)
from guesthouse.virtual.memory.frames import CODE, HAS_CODE, STATE
from guesthouse.virtual.memory.peers import (
    BANKS,
    BANKS_USED,
    FIRST,
    FORGET,
    FORGET_ALL,
    FORGET_RANGE,
    LINE,
    LOOKS,
    NATIVE,
    OVERFLOW,
    OWN_FRAMES,
    PAGES,
    POSTED,
    REFETCH,
    RING,
    RING_ENTRIES,
    RING_ENTRY,
    RING_FIRST,
    RING_READ,
    RING_WRITTEN,
    RINGS,
    SPACE,
    change_state,
    own_entry,
)
from guesthouse.virtual.memory.shadow import (
    forget_fetches,
    forget_translations,
    frame_of,
    gate_writes,
    take_write_tags,
)
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.hooks import fence_range
from guesthouse.virtual.spec.host_words import host_compare_exchange, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import State, fence, flag, u64

ROUNDS = 3
MOST_PAGES = 1 << 20  # more than there are code pages

FIELDS = (
    Field("unsettled", saved=False, doc="first of the code pages that are not settled, 0 for none"),
    Field("drop_all", saved=False, doc="1: more was written to than could be told; all code is to be dropped"),
    Field("round", saved=False, doc="times that all other processors have been seen to look around"),
    Field("looks_seen", saved=False, doc="host address of their counts of looks when this round began"),
)


@function
def close_gate(s: State, frame: u64) -> None:
    """This processor holds code of a page now: no other may keep a write tag for it.

    Where another one holds code of it already, that one has taken them or is doing so.
    """
    others = host_load(frame + STATE, 8) & HAS_CODE
    change_state(frame, 0, s.own_code)
    gate_writes(s, frame)
    if s.peer_count > 1 and others == 0:
        fence(s)
        for i in range(s.peer_count):
            if i != s.own_number:
                line = u64(s.peers + i * LINE)
                used = host_load(host_load(line + BANKS_USED, 8), 8)
                take_write_tags(s, host_load(line + OWN_FRAMES, 8), host_load(line + BANKS, 8), used, frame)


@function
def unsettle(s: State, page: u64) -> None:
    """Another processor's store to this page may still be on its way."""
    words = page_words(page)
    if host_load(words + SETTLED_IN, 8) == 0:
        host_store(words + NEXT_UNSETTLED, 8, s.unsettled)
        s.unsettled = page
    host_store(words + SETTLED_IN, 8, s.round + ROUNDS)


@function
def meet(s: State) -> None:
    """Look around, nothing of the guest's being half done: what others ask, whether pages have settled.

    The count of looks goes up before what is asked is looked at, with a fence between. So who asked, and sees a later
    count afterwards, knows that no code of the guest's ran in between without it having been done.
    """
    host_store(s.own_line + LOOKS, 8, host_load(s.own_line + LOOKS, 8) + 1)
    fence(s)
    if host_load(s.own_line + POSTED, 8) != 0:
        host_store(s.own_line + POSTED, 8, 0)
        fence(s)
        do_what_is_asked(s)
    if s.unsettled != 0:
        count_round(s)
        settle(s)
    s.refetch = 0


@function
def do_what_is_asked(s: State) -> None:
    """Do what stands in this processor's line, and undo code that others have written to.

    A request is taken back before it is done, with a fence between: made again meanwhile, it is done again.
    """
    if host_load(s.own_line + FORGET, 8) != 0:
        forget_asked(s)
    if host_load(s.own_line + REFETCH, 8) != 0:
        host_store(s.own_line + REFETCH, 8, 0)
        s.refetch = 1
    if host_load(s.own_line + OVERFLOW, 8) != 0:
        host_store(s.own_line + OVERFLOW, 8, 0)
        fence(s)
        s.drop_all = 1
    for i in range(u64(s.peer_count + 1)):
        read_ring(s, u64(host_load(s.own_line + RINGS, 8) + i * RING))


@function
def forget_asked(s: State) -> None:
    """Forget what others ask. While a range is asked for, all that may be asked in its place is everything."""
    kind = host_load(s.own_line + FORGET, 8)
    first = host_load(s.own_line + FIRST, 8)
    pages = host_load(s.own_line + PAGES, 8)
    space = host_load(s.own_line + SPACE, 8)
    if host_compare_exchange(s.own_line + FORGET, 8, kind, 0) == 0:
        kind = FORGET_ALL
        host_store(s.own_line + FORGET, 8, 0)
        fence(s)
    if u64(kind) == FORGET_RANGE:
        fence_range(s, first, pages, space)
    else:
        forget_translations(s)


@function
def read_ring(s: State, ring: u64) -> None:
    """Undo the decoding of what another processor has written to."""
    read = host_load(ring + RING_READ, 8)
    for _ in range(u64(host_load(ring + RING_WRITTEN, 8) - read)):
        entry = u64(ring + RING_FIRST + (read & (RING_ENTRIES - 1)) * RING_ENTRY)
        undo_written(s, host_load(entry, 8), host_load(entry + 8, 8))
        read = u64(read + 1)
    fence(s)
    host_store(ring + RING_READ, 8, read)


@function
def undo_written(s: State, physical: u64, size: u64) -> None:
    """Undo the decoding of bytes that another processor is writing."""
    frame = frame_of(s, physical)
    page = host_load(own_entry(s, frame) + CODE, 8)
    if page != 0:
        if drop_code(s, frame, physical, size):
            forget_fetches(s)
        else:
            unsettle(s, page)


def looked(s: State, number: u64) -> flag:
    """Whether a processor has looked around since this round began; one outside of native code always does."""
    line = u64(s.peers + number * LINE)
    if host_load(line + NATIVE, 8) == 0:
        return 1
    return host_load(line + LOOKS, 8) != host_load(s.looks_seen + number * 8, 8)


@function
def count_round(s: State) -> None:
    """Begin the next round where all others have looked around in this one."""
    all_looked = 1
    for i in range(s.peer_count):
        if i != s.own_number and not looked(s, u64(i)):
            all_looked = 0
            break
    if u64(all_looked) != 0:
        s.round = u64(s.round + 1)
        for i in range(s.peer_count):
            host_store(s.looks_seen + i * 8, 8, host_load(s.peers + i * LINE + LOOKS, 8))


@function
def settle(s: State) -> None:
    """Undo the decoding of the pages that have settled, and with FENCE.I of all that have not."""
    page = u64(s.unsettled)
    s.unsettled = 0
    for _ in range(MOST_PAGES):
        if u64(page) == 0:
            break
        words = page_words(u64(page))
        following = host_load(words + NEXT_UNSETTLED, 8)
        settled = host_load(words + SETTLED_IN, 8) <= s.round
        if (settled or s.refetch != 0) and host_load(words + FRAME_PAGE, 8) != 0:
            drop_translations(u64(page))
        if settled:
            host_store(words + SETTLED_IN, 8, 0)
        else:
            host_store(words + NEXT_UNSETTLED, 8, s.unsettled)
            s.unsettled = u64(page)
        page = following
