"""Makes a profile of what was sampled in a machine."""

from collections import Counter

from guesthouse.errors import UserError
from guesthouse.guest.kallsyms import find_kallsyms
from guesthouse.guest.symbols import Symbols
from guesthouse.manager.profile import Profile, Sample
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.sampling import PAGE, Samples

LINUX_AT, LINUX_SIZE = 2 << 20, 128 << 20
"""Bytes from the start of RAM to a Linux kernel, and that it may have."""
MOST_PAGES = 64


def profile_of(machine: Machine, samples: Samples) -> Profile:
    """What was sampled while the machine ran."""
    heat = Counter[int]()
    for place, weight in samples.weights.items():
        heat[place.physical & -PAGE] += weight
    hottest = [page for page, _ in heat.most_common() if page in samples.pages][:MOST_PAGES]
    names, problem = _names(machine, samples)
    statistics = machine.statistics()
    return Profile(
        samples.counted,
        tuple(
            Sample(p.mode, p.space, p.tier, p.cause, p.physical, p.stack, samples.counts[p], weight)
            for p, weight in samples.weights.most_common()
        ),
        names,
        problem,
        {page: samples.pages[page] for page in hottest},
        samples.engine,
        samples.waiting,
        {reason.name: nanoseconds for reason, nanoseconds in samples.answering.items()},
        statistics["exits"],
        statistics["steps_by_engine"],
    )


def _names(machine: Machine, samples: Samples) -> tuple[dict[int, tuple[str, int]], str]:
    """Names of what was sampled outside of user mode, from the program's file or a Linux kernel's own tables."""
    addresses = {address for place in samples.weights if place.mode for address in place.stack}
    base, moved = machine.memory.base + LINUX_AT, 0
    symbols, problem = Symbols.of(machine.symbols), ""
    if any(place.space for place in samples.weights) or not len(symbols):
        try:
            symbols = Symbols(find_kallsyms(_kernel_memory(machine)))
            # Before it switches its page tables on, the kernel runs where it was loaded.
            moved = (symbols.address_of("_start") or base) - base
        except UserError as error:
            problem = "" if len(symbols) else str(error)
    found = {}
    for address in addresses:
        virtual = address + moved if base <= address < base + LINUX_SIZE else address
        if name := symbols.find(virtual) or symbols.find(address):
            found[address] = name
    return found, problem


def _kernel_memory(machine: Machine) -> bytes:
    memory = machine.memory
    first = memory.base + LINUX_AT
    return memory.read(first, min(LINUX_SIZE, memory.size - LINUX_AT))
