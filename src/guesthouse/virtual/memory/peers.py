"""What the processors of one machine share beside RAM, and how one tells another that code was written to.

There is a *line* a processor in one table. A processor asks another by writing into that one's line; the other looks at
it whenever it leaves a stretch of native code (`crew.meet`). Nobody ever waits.

That a processor wrote where another holds decoded code is told through a ring from the one to the other. One side
writes, one side reads, so neither locks; x86-64 keeps stores in order, and the fences keep LLVM from changing that.
"""

from guesthouse.virtual.memory.frames import STATE
from guesthouse.virtual.spec.description import function
from guesthouse.virtual.spec.host_words import host_compare_exchange, host_load, host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import MASK64, State, fence, u64

MOST_PROCESSORS = 32

# A processor's line: times it looked at what is asked (each time nothing of the guest's is half done), 1 while it is in
# native code, then what others set: 1 to have it look, what to forget of the guest's page tables, 1 to fetch code
# afresh, 1 where a ring was full. Then its shadow page table, where its state has the banks in use, its frames' table,
# its first ring; and the range to be forgotten: first address, pages, identifier of the address space and one (0: any).
LINE = 128
LOOKS, NATIVE, POSTED, FORGET, REFETCH, OVERFLOW, BANKS, BANKS_USED, OWN_FRAMES, RINGS = range(0, 80, 8)
FIRST, PAGES, SPACE = range(80, 104, 8)
FORGET_ALL, FORGET_RANGE = 1, 2

# A ring: entries written and entries read since the beginning, then the entries: physical address and bytes written.
RING_ENTRIES = 1024
RING_WRITTEN, RING_READ, RING_FIRST = 0, 64, 128
RING_ENTRY = 16
RING = RING_FIRST + RING_ENTRIES * RING_ENTRY

FIELDS = (
    Field("peers", saved=False, doc="host address of the processors' lines"),
    Field("peer_count", saved=False, doc="number of processors that run guest code"),
    Field("own_line", saved=False, doc="host address of this one's line"),
    Field("own_number", saved=False, doc="its number; that of no processor for who only writes to memory"),
    Field("own_code", saved=False, doc="its bit in the states of frames it holds code of"),
    Field("own_frames", saved=False, doc="host address of its own table of frames"),
)


def own_entry(s: State, frame: u64) -> u64:
    """Host address of this processor's own entry for a frame."""
    return u64(s.own_frames + u64(frame - s.frames))


@function
def change_state(frame: u64, clear: u64, put: u64) -> None:
    """Clear and set bits of a frame's state, which other processors may be changing, too."""
    for _ in range(MASK64):
        before = host_load(frame + STATE, 8)
        if host_compare_exchange(frame + STATE, 8, before, before & ~clear | put) != 0:
            break


@function
def tell_peers(s: State, state: u64, physical: u64, size: u64) -> None:
    """Tell each other processor that holds code of a page, as the page's state says, that bytes are being written."""
    for i in range(s.peer_count):
        if i != s.own_number and state >> ((32 + i) & 63) & 1 != 0:
            post_write(s, u64(i), physical, size)


@function
def post_write(s: State, number: u64, physical: u64, size: u64) -> None:
    """Put a write into the ring to a processor; where that is full it will drop all of its code."""
    line = u64(s.peers + number * LINE)
    ring = u64(host_load(line + RINGS, 8) + s.own_number * RING)
    written = host_load(ring + RING_WRITTEN, 8)
    if u64(written - host_load(ring + RING_READ, 8)) >= RING_ENTRIES:
        host_store(line + OVERFLOW, 8, 1)
    else:
        entry = u64(ring + RING_FIRST + (written & (RING_ENTRIES - 1)) * RING_ENTRY)
        host_store(entry, 8, physical)
        host_store(entry + 8, 8, size)
        fence(s)
        host_store(ring + RING_WRITTEN, 8, written + 1)
    ask(s, line)


@function
def ask(s: State, line: u64) -> None:
    """Have the processor of a line look at what was written there; it does before it runs code of the guest's again."""
    fence(s)
    host_store(line + POSTED, 8, 1)
    fence(s)
