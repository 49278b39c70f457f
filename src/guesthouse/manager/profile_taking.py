"""Makes a profile of what was sampled in a machine."""

from collections import Counter

from guesthouse.errors import UserError
from guesthouse.guest.kallsyms import find_kallsyms
from guesthouse.guest.symbols import Symbols
from guesthouse.manager.profile import CpuShare, Profile, Sample
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.sampling import PAGE, TASK, Sampler, Samples

LINUX_AT, LINUX_SIZE = 2 << 20, 128 << 20
"""Bytes from the start of RAM to a Linux kernel, and that it may have."""
MOST_PAGES = 64
FIRST_TASK, TASK_NAME = b"swapper", 16


def profile_of(machine: Machine, sampler: Sampler) -> Profile:
    """What was sampled while the machine ran."""
    samples = sampler.samples
    heat = Counter[int]()
    for place, weight in samples.weights.items():
        heat[place.physical & -PAGE] += weight
    hottest = [page for page, _ in heat.most_common() if page in samples.pages][:MOST_PAGES]
    symbols, problem = _symbols(machine, samples)
    statistics = machine.statistics()
    return Profile(
        samples.counted,
        tuple(
            Sample(p.mode, p.space, p.tier, p.cause, p.physical, p.stack, samples.counts[p], weight)
            for p, weight in samples.weights.most_common()
        ),
        _names(machine, samples, symbols),
        problem,
        _processes(machine, samples, symbols),
        {page: samples.pages[page] for page in hottest},
        samples.engine,
        samples.waiting,
        {reason.name: nanoseconds for reason, nanoseconds in samples.answering.items()},
        statistics["exits"],
        statistics["steps_by_engine"],
        tuple(
            CpuShare(
                part.engine,
                part.answering.total(),
                part.waiting,
                part.counts.total(),
                part.weights.total(),
                machine.cpu(number).instructions,
            )
            for number, part in enumerate(sampler.by_cpu)
        ),
    )


def _symbols(machine: Machine, samples: Samples) -> tuple[Symbols, str]:
    """From the program's file, or a Linux kernel's own tables; and why there are none."""
    symbols = Symbols.of(machine.symbols)
    if len(symbols) and not any(place.space for place in samples.weights):
        return symbols, ""
    try:
        return Symbols(find_kallsyms(_kernel_memory(machine))), ""
    except UserError as error:
        return symbols, "" if len(symbols) else str(error)


def _names(machine: Machine, samples: Samples, symbols: Symbols) -> dict[int, tuple[str, int]]:
    """Symbol and offset of what was sampled outside of user mode."""
    addresses = {address for place in samples.weights if place.mode for address in place.stack}
    base = machine.memory.base + LINUX_AT
    # Before it switches its page tables on, the kernel runs where it was loaded.
    moved = (symbols.address_of("_start") or base) - base
    found = {}
    for address in addresses:
        virtual = address + moved if base <= address < base + LINUX_SIZE else address
        if name := symbols.find(virtual) or symbols.find(address):
            found[address] = name
    return found


def _processes(machine: Machine, samples: Samples, symbols: Symbols) -> dict[int, str]:
    """Names of the programs in address spaces, as Linux keeps them in its tasks.

    Where in a task depends on the kernel's configuration: there, where its very first one says "swapper".
    """
    first, start = symbols.address_of("init_task"), symbols.address_of("_start")
    physical = 0 if first is None or start is None else first - start + machine.memory.base + LINUX_AT
    if not machine.memory.base <= physical < machine.memory.base + machine.memory.size - TASK:
        return {}
    at = machine.memory.read(physical, TASK).find(FIRST_TASK)
    found = {}
    for space, task in samples.tasks.items():
        name = task[at : at + TASK_NAME].split(b"\0")[0] if at >= 0 else b""
        if name.isascii() and name.decode("ascii").isprintable() and name:
            found[space] = name.decode("ascii")
    return found


def _kernel_memory(machine: Machine) -> bytes:
    memory = machine.memory
    first = memory.base + LINUX_AT
    return memory.read(first, min(LINUX_SIZE, memory.size - LINUX_AT))
