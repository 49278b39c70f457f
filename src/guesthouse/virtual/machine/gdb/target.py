"""What a debugger reaches of a machine that stands still; its processors are numbered from 1, as gdb's threads are."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.machine.cpu import Cpu
from guesthouse.virtual.machine.gdb.description import GENERAL, PC, REGISTERS, Register
from guesthouse.virtual.machine.hooks import Access, Handle
from guesthouse.virtual.machine.inspection import EveryonesMemory, Registers

if TYPE_CHECKING:
    from guesthouse.virtual.machine.machine import Machine

PAGE = 4096
MOST_POINTS = 1024
"""Breakpoints and watchpoints of one session; a watchpoint covers at most so many bytes, too."""


class Kind(IntEnum):
    """The types of the packets `Z` and `z`."""

    SOFTWARE = 0
    HARDWARE = 1
    WRITE = 2
    READ = 3
    ACCESS = 4


class Point(msgspec.Struct, frozen=True):
    """A breakpoint or watchpoint: address as the debugger gave it, and bytes (a breakpoint's have no meaning here)."""

    kind: Kind
    address: int
    length: int
    physical: bool = False


class Processor(msgspec.Struct):
    """One of the guest's processors."""

    cpu: Cpu
    registers: Registers
    memory: EveryonesMemory

    @property
    def doing(self) -> str:
        """What it does while nobody holds the machine, in a word."""
        if not self.cpu.started:
            return "off"
        return "waiting" if self.cpu.waiting else "running"


class Target:
    """Registers, memory and points of one machine, for one session.

    `hit` is called, in the machine's thread, with a point that the guest has come to, the guest-virtual address, and
    whether the access is done already (as a device's is).
    Points are in effect from `apply` on; until then the ones before are kept, so that a debugger which takes all away
    for a step costs no change of the running code.
    """

    def __init__(self, machine: Machine, hit: Callable[[Point, int, bool], None]) -> None:
        self.machine = machine
        core = machine._core
        self.processors = {
            cpu.number + 1: Processor(cpu, machine.cpu(cpu.number).registers, EveryonesMemory(core, cpu))
            for cpu in core.cpus
        }
        self.thread = 1
        """The processor that is looked at."""
        self.physical = False
        """Addresses of memory are guest-physical."""
        self.masks_interrupts = True
        """A single step takes no interrupt."""
        self._hit = hit
        self._wanted: set[Point] = set()
        self._placed: dict[Point, list[Handle]] = {}

    # --- registers ----------------------------------------------------------------------------------------------------

    def read_general(self, thread: int) -> bytes:
        """The registers of the packet `g`."""
        return b"".join(self._read(thread, register) for register in GENERAL)

    def write_general(self, thread: int, data: bytes) -> None:
        """Set them, as many as `data` holds."""
        for index in range(min(len(data) // 8, len(GENERAL))):
            self.write_register(thread, index, data[8 * index : 8 * index + 8])

    def read_register(self, thread: int, number: int) -> bytes:
        """A register's bytes; raises UserError where there is none of that number."""
        return self._read(thread, _known(number))

    def _read(self, thread: int, register: Register) -> bytes:
        value = self.processors[thread].registers[register.ours]
        return (value & ((1 << 8 * register.size) - 1)).to_bytes(register.size, "little")

    def write_register(self, thread: int, number: int, data: bytes) -> None:
        """Set a register; raises UserError where it can't be."""
        register = _known(number)
        if register.read_only or len(data) != register.size:
            raise UserError(f"The register {register.name} can't be written so.")
        processor = self.processors[thread]
        processor.registers[register.ours] = int.from_bytes(data, "little")
        if register.number == PC:
            processor.cpu.waiting = False  # what it waited for was elsewhere

    # --- memory -------------------------------------------------------------------------------------------------------

    def read_memory(self, thread: int, address: int, length: int) -> bytes:
        """Up to `length` bytes; raises UserError where there are none at `address`."""
        found = bytearray()
        while length > 0:
            step = min(length, PAGE - address % PAGE)
            try:
                found += self._read_piece(thread, address, step)
            except UserError:
                if found:
                    break
                raise
            address, length = (address + step) & ((1 << 64) - 1), length - step
        return bytes(found)

    def _read_piece(self, thread: int, address: int, length: int) -> bytes:
        if self.physical:
            return self.machine.memory.read(address, length)
        return self.processors[thread].memory.read(address, length)

    def write_memory(self, thread: int, address: int, data: bytes) -> None:
        """Write all of it; raises UserError, having changed nothing, where there is no memory."""
        if self.physical:
            self.machine.memory.write(address, data)
        else:
            self.processors[thread].memory.write(address, data)

    # --- breakpoints and watchpoints ----------------------------------------------------------------------------------

    def insert(self, thread: int, point: Point) -> None:
        """Want a point; raises UserError where there can't be one."""
        if len(self._wanted) >= MOST_POINTS:
            raise UserError("There are too many breakpoints.")
        if len(self._placed) >= 2 * MOST_POINTS:
            self.apply()
        if point not in self._placed and point.kind >= Kind.WRITE:
            self._place_watch(thread, point)
        self._wanted.add(point)

    def remove(self, kind: Kind, address: int, length: int) -> None:
        """Want it no more, whichever addresses it was given in."""
        self._wanted -= {Point(kind, address, length), Point(kind, address, length, physical=True)}

    def apply(self) -> None:
        """Have just those in effect that are wanted."""
        for point in [point for point in self._placed if point not in self._wanted]:
            for handle in self._placed.pop(point):
                handle.remove()
        for point in self._wanted - set(self._placed):
            if point.kind < Kind.WRITE:
                self._placed[point] = [self.machine.on_execute(point.address, partial(self._met, point))]

    def clear(self) -> None:
        """Want none."""
        self._wanted.clear()
        self.apply()

    def _met(self, point: Point, machine: Machine) -> None:
        if point in self._wanted:
            self._hit(point, point.address, False)

    def _place_watch(self, thread: int, point: Point) -> None:
        """Watch the memory that the addresses mean now."""
        if not 0 < point.length <= MOST_POINTS:
            raise UserError("A watchpoint covers 1 to 1024 bytes.")
        self._placed[point] = handles = []
        reads, writes = point.kind != Kind.WRITE, point.kind != Kind.READ
        try:
            for start, physical, length in self._ranges(thread, point):

                def met(_: Machine, access: Access, start: int = start, physical: int = physical) -> None:
                    if point in self._wanted:
                        self._hit(point, start + max(0, access.address - physical), bool(access.device))

                handles.append(self.machine.on_memory(physical, length, met, read=reads, write=writes))
        except UserError:
            for handle in self._placed.pop(point):
                handle.remove()
            raise

    def _ranges(self, thread: int, point: Point) -> list[tuple[int, int, int]]:
        """(address, guest-physical address, length) of a watchpoint, page by page."""
        if point.physical:
            return [(point.address, point.address, point.length)]
        ranges, at, left = [], point.address, point.length
        while left > 0:
            step = min(left, PAGE - at % PAGE)
            physical = self.processors[thread].memory.translate(at)
            if physical is None:
                raise UserError(f"The guest has nothing at its virtual address {at:#x} now.")
            ranges.append((at, physical, step))
            at, left = at + step, left - step
        return ranges


def _known(number: int) -> Register:
    if number not in REGISTERS:
        raise UserError(f"There is no register of number {number}.")
    return REGISTERS[number]
