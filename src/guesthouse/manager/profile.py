"""A profile as plain data: what a worker has sampled, with names as far as the guest's own tables give them."""

import msgspec

RATE = 250.0
"""Samples a second."""


class Sampling(msgspec.Struct, frozen=True):
    """How a run is sampled: so often a second, or every so many steps where `every` says it."""

    rate: float = RATE
    every: int | None = None


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Samples of one place (see `sampling.Place`): their number, and their weight in nanoseconds or steps."""

    mode: int
    space: int
    tier: str
    cause: str
    physical: int
    stack: tuple[int, ...]
    count: int
    weight: int


class CpuShare(msgspec.Struct, frozen=True, array_like=True):
    """What one processor did: nanoseconds in native code, of Python, asleep; samples and their weight; steps."""

    engine: int
    answering: int
    waiting: int
    count: int
    weight: int
    steps: int


class Profile(msgspec.Struct, frozen=True):
    """All samples, heaviest first.

    counted: weights are steps, not nanoseconds. names: symbol and offset of the addresses in stacks that have one.
    no_names: why there are none, "" where there are. processes: names of the programs in address spaces. pages: code
    of the hottest pages by guest-physical address. engine, waiting: nanoseconds in native code and asleep; answering:
    of Python after each kind of exit; exits: their number; steps: by engine. All of these are of all processors; cpus:
    of each.
    """

    counted: bool
    samples: tuple[Sample, ...]
    names: dict[int, tuple[str, int]]
    no_names: str
    processes: dict[int, str]
    pages: dict[int, bytes]
    engine: int
    waiting: int
    answering: dict[str, int]
    exits: dict[str, int]
    steps: dict[str, int]
    cpus: tuple[CpuShare, ...] = ()
