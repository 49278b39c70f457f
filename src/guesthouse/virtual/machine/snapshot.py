"""Saving a machine and loading it again: declared state by name and version, and the pages of RAM that are not zero.

The stream is MessagePack behind a digest. Memory comes as runs of pages, each run compressed (Zstandard) with its
first page's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec
import zstandard

from guesthouse.errors import UserError
from guesthouse.guest.definition import Definition
from guesthouse.host.residency import Residency
from guesthouse.virtual.devices.wires import PortBackend
from guesthouse.virtual.machine.boot import Entry
from guesthouse.virtual.machine.core import Core
from guesthouse.virtual.machine.randomness import SeededEntropy
from guesthouse.virtual.machine.stop import Reason, Stop
from guesthouse.virtual.machine.turns import Turns
from guesthouse.virtual.memory.guest import GuestMemory

MAGIC = b"guesthouse machine\n"
DIGEST = 32
VERSION = 2
PAGE = 4096
LONGEST_RUN = 1 << 20
ZERO = bytes(PAGE)
LEVEL = 1


class Run(Protocol):
    """What of the run loop is state."""

    turns: Turns
    ended: Stop | None


class Saved(msgspec.Struct, kw_only=True):
    """Everything that makes up a machine; `processors` and `devices` hold fields by name."""

    version: int = VERSION
    definition: Definition
    processors: list[dict[str, int | list[int]]]
    started: list[bool]
    waiting: list[bool]
    current: int  # the processor that ran last
    turn: tuple[int, int]  # whose turn it is, steps left of it
    clock: int  # nanoseconds since the machine started
    random: int  # bytes taken from the seed's sequence
    devices: dict[str, Any]
    inputs: dict[str, bytes]  # host's bytes that the devices had not taken
    ended: tuple[str, int, str] | None
    panic: str
    entry: tuple[int, int, int]
    htif: tuple[int, int]
    symbols: dict[str, int]
    memory: list[tuple[int, bytes]]


def save(core: Core, run: Run) -> bytes:
    """The state between two instructions, with no request of a disk under way.

    Raises UserError where folders are shared: what the guest has opened there is not part of the machine.
    """
    if core.definition.shares:
        raise UserError("A machine with shared folders can't be saved; start it without them.")
    core.work.wait()
    if core.work.held:
        raise UserError(f"The machine can't be saved while it stands still. {core.work.held[0].why}")
    for cpu in core.cpus:
        cpu.take_raised()
    saved = Saved(
        definition=core.definition,
        processors=[cpu.state.save() for cpu in core.cpus],
        started=[cpu.started for cpu in core.cpus],
        waiting=[cpu.waiting for cpu in core.cpus],
        current=core.current.number,
        turn=(run.turns.number, run.turns.left),
        clock=core.clock.now(),
        random=core.entropy.position if isinstance(core.entropy, SeededEntropy) else 0,
        devices=core.devices.save(),
        inputs={name: stream.save() for name, stream in core.inputs.items()},
        ended=(run.ended.reason.name, run.ended.status, run.ended.text) if run.ended else None,
        panic=core.console.panic,
        entry=(core.entry.pc, core.entry.tree, core.entry.dynamic),
        htif=core.htif.save() if core.htif else (0, 0),
        symbols=core.entry.symbols,
        memory=list(_pages(core.memory)),
    )
    return sealed(msgspec.msgpack.encode(saved))


def sealed(content: bytes) -> bytes:
    """The content with what tells a saved machine from other and from damaged files before it."""
    return MAGIC + hashlib.blake2b(content, digest_size=DIGEST).digest() + content


def _pages(memory: GuestMemory) -> Iterator[tuple[int, bytes]]:
    """(number of the first page, compressed bytes) of each run of pages that are not zero."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    for first, data in non_zero_runs(memory):
        yield first, compressor.compress(data)


def non_zero_runs(memory: GuestMemory) -> Iterator[tuple[int, bytes]]:
    """Runs of pages that hold something: number of the first page, bytes. Pages never touched are not looked at."""
    residency = Residency()
    try:
        ranges = list(residency.touched(memory.mapping.address, memory.size))
    finally:
        residency.close()
    view = memory.mapping.view
    first, run = 0, bytearray()
    for start, length in ranges:
        for offset in range(start, start + length, PAGE):
            page = view[offset : offset + PAGE]
            adjoins = run and first * PAGE + len(run) == offset and len(run) < LONGEST_RUN
            if page == ZERO:
                continue
            if not adjoins:
                if run:
                    yield first, bytes(run)
                first, run = offset // PAGE, bytearray()
            run += page
    if run:
        yield first, bytes(run)


def unpack(data: bytes) -> Saved:
    """Read what `save` wrote. Raises UserError where it is damaged or of another version."""
    content = data[len(MAGIC) + DIGEST :]
    if not data.startswith(MAGIC):
        raise UserError("This is no saved machine; give what `save` wrote.")
    if sealed(content) != data:
        raise UserError("The saved machine can't be read (it is damaged or not complete); save it again.")
    try:
        saved = msgspec.msgpack.decode(content, type=Saved)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The saved machine can't be read ({error}); save it again.") from error
    if saved.version != VERSION:
        raise UserError(f"The saved machine has version {saved.version}, not {VERSION}; save it with this program.")
    return saved


class Silent:
    """The host's end of a port that nobody has connected."""

    def write(self, data: bytes) -> None:
        """Drop it."""

    def opened(self, is_open: bool) -> None:
        """Nobody cares."""


def ports_for(definition: Definition, given: Mapping[str, PortBackend] | None) -> dict[str, PortBackend]:
    """The backends of the ports that a saved machine has."""
    ports: dict[str, PortBackend] = {name: Silent() for name in definition.ports}
    unknown = set(given or {}) - set(ports)
    if unknown:
        raise UserError(f"The saved machine has no port {unknown.pop()!r}; it has {', '.join(ports) or 'none'}.")
    return ports | dict(given or {})


def restore(saved: Saved, core: Core, run: Run) -> None:
    """Bring a machine just built into a saved state."""
    try:
        _restore_memory(saved, core.memory)
        _restore_processors(saved, core)
        core.clock.set(saved.clock)
        core.devices.load(saved.devices)
        # Again: as the devices drive their wires they have the processors look at them, sooner than they would have.
        _restore_processors(saved, core)
        run.turns.number, run.turns.left = saved.turn
    except (ValueError, TypeError, zstandard.ZstdError) as error:
        raise UserError(f"The saved machine is damaged ({error}); save it again.") from error
    if isinstance(core.entropy, SeededEntropy):
        core.entropy.position = saved.random
    for name, data in saved.inputs.items():
        if name in core.inputs:
            core.inputs[name].load(data)
    core.console.panic = saved.panic
    core.restore_entry(Entry(*saved.entry, saved.symbols))
    if core.htif:
        core.htif.load(saved.htif)
    if saved.ended is not None:
        name, status, text = saved.ended
        if name not in Reason.__members__:
            raise UserError("The saved machine is damaged (how it ended); save it again.")
        run.ended = Stop(Reason[name], status, text)
    core.forget()


def _restore_processors(saved: Saved, core: Core) -> None:
    fields = (saved.processors, saved.started, saved.waiting)
    for cpu, state, started, waiting in zip(core.cpus, *fields, strict=True):
        cpu.state.load(state)
        cpu.started, cpu.waiting = started, waiting
    core.current = core.cpus[saved.current % len(core.cpus)]


def _restore_memory(saved: Saved, memory: GuestMemory) -> None:
    decompressor = zstandard.ZstdDecompressor()
    for first, data in saved.memory:
        pages = decompressor.decompress(data, max_output_size=LONGEST_RUN + PAGE)
        if first < 0 or not memory.contains(memory.base + first * PAGE, len(pages)):
            raise ValueError("memory outside of the machine's")
        memory.write(memory.base + first * PAGE, pages)
