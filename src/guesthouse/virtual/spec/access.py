"""The kinds of memory access, as instruction sets and engines name them to each other."""

from enum import IntEnum


class Access(IntEnum):
    """What is done with guest memory; `translate`, `access_fault` and the word `touch` are told."""

    LOAD = 0
    STORE = 1
    FETCH = 2
    MANAGE = 3  # of a cache block: who may load or store there may do it; for others it fails as a store
