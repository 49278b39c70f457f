"""Device accesses that native code answers itself: a byte that reads as a value known before, a byte that is collected.

The monitor says for which addresses, and takes what was collected as soon as native code is left.
"""

from guesthouse.virtual.spec.host_words import host_store
from guesthouse.virtual.spec.layout import Field
from guesthouse.virtual.spec.words import State, flag, u64

MOST_COLLECTED = 4096

FIELDS = (
    Field("shortcuts", saved=False, doc="1: the accesses below do not leave to the monitor"),
    Field("answered_at", saved=False, doc="guest-physical address of a byte whose value is known"),
    Field("answered_with", saved=False, doc="its value"),
    Field("collected_at", saved=False, doc="guest-physical address of a byte where what is written is collected"),
    Field("collected", saved=False, doc="host address of what was collected"),
    Field("collected_count", saved=False, doc="bytes of it"),
)


def answers(s: State, size: u64) -> flag:
    """Whether the value of a load from `physical` is known."""
    return s.shortcuts != 0 and size == 1 and s.physical == s.answered_at


def collects(s: State, size: u64) -> flag:
    """Whether a store to `physical` is one that is collected."""
    return s.shortcuts != 0 and size == 1 and s.physical == s.collected_at and s.collected_count < MOST_COLLECTED


def collect(s: State, value: u64) -> None:
    """Put a byte behind those collected before."""
    host_store(u64(s.collected + s.collected_count), 1, value)
    s.collected_count = u64(s.collected_count + 1)
