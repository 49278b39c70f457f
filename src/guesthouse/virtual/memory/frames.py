"""The frame table: for each 4 KiB page of guest-physical memory where it lies on the host and what holds of it.

One entry is two 64-bit words. Native code and Python read the same table; adjacent guest pages need not adjoin. All
processors share it, so states change by compare and exchange (`peers.change_state`). Each processor has a table of its
own beside it, of the same shape.
"""

PAGE = 4096
FRAME = 16  # bytes an entry
HOST = 0  # host address of the page; 0 = at its default place in the one big mapping
STATE = 8  # the bits below
# A processor's own entry: host address of the page's decoded-instruction slots, 0 = none; and of the one entry of its
# shadow page table that may let it write to the page, 0 = there is none since that was gated last, SEVERAL = search.
CODE = 0
WRITER = 8
SEVERAL = 1

# Frame states. A page with any of the gating ones never gets a write tag in the shadow page table, so every write to
# it passes `shadow.data_place` (processors) or `GuestMemory.write` (devices, debugger).
CLEAN = 2  # not written since the round began (dirty logging)
ABSENT = 4  # ballooned or swapped out: leave to the monitor on any access
WATCHED = 8  # somebody watches accesses; a page of this state never gets a read tag either
HAS_CODE = 0xFFFF_FFFF << 32  # processor n holds decoded or translated instructions: bit 32 + n
GATED = HAS_CODE | CLEAN | WATCHED
