"""The frame table: for each 4 KiB page of guest-physical memory where it lies on the host and what holds of it.

One entry is four 64-bit words. Native code and Python read the same table; adjacent guest pages
need not adjoin.
"""

PAGE = 4096
FRAME = 32  # bytes an entry
HOST = 0  # host address of the page; 0 = at its default place in the one big mapping
STATE = 8  # the bits below
CODE = 16  # host address of the page's decoded-instruction slots; 0 = none
# Host address of the one entry of the shadow page table that may let processors write to the page; 0 = there is none
# since it was gated last, SEVERAL = search.
WRITER = 24
SEVERAL = 1

# Frame states. A page with any of the gating ones never gets a write tag in the shadow page table, so every write to
# it passes `shadow.data_place` (processors) or `GuestMemory.write` (devices, debugger).
HAS_CODE = 1  # holds decoded or translated instructions
CLEAN = 2  # not written since the round began (dirty logging)
ABSENT = 4  # ballooned or swapped out: leave to the monitor on any access
WATCHED = 8  # somebody watches accesses; a page of this state never gets a read tag either
GATED = HAS_CODE | CLEAN | WATCHED
