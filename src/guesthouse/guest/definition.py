"""The definition of a guest: what machine it gets and what it starts with, as plain data."""

from __future__ import annotations

import re

import msgspec

from guesthouse.errors import UserError

MIB = 1 << 20
LEAST_MEMORY, MOST_MEMORY = 64 * MIB, 16 << 30
MOST_CPUS = 32
PAGE = 4096
CLOCKS = ("host", "instructions")
BUSES = ("mmio", "pci")
ENGINES = ("auto", "reference", "interpreter", "stitcher", "translator")
KERNEL_DEFAULTS = (("console", "console=ttyS0"), ("panic", "panic=-1"))

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class File(msgspec.Struct, frozen=True):
    """A file of the guest: its path, or its content where that was given; neither where it has none.

    `raw`: it may be code without any header.
    """

    path: str = ""
    data: bytes = b""
    raw: bool = False

    def __bool__(self) -> bool:
        return bool(self.path or self.data)


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A guest as data.

    `memory` counts bytes of RAM, `cpus` the processors. `clock` is "host", or "instructions": one nanosecond an
    instruction. Where `seed` is given, all randomness that the guest gets comes from it. `disks` maps serial numbers to
    whether the disk is read-only, in the order of the slots; `ports` names the ports of a virtio console. `bus` is
    where virtio devices are: "mmio" or "pci". `reboot`: a reset starts again.
    """

    memory: int = 512 * MIB
    cpus: int = 1
    kernel: File = File()
    initrd: File = File()
    firmware: File = File()
    append: str = ""
    clock: str = "host"
    seed: int | None = None
    disks: tuple[tuple[str, bool], ...] = ()
    ports: tuple[str, ...] = ()
    bus: str = "mmio"
    reboot: bool = True


def check(definition: Definition) -> Definition:
    """The definition itself where a machine can be made of it; raises UserError where not."""
    if not LEAST_MEMORY <= definition.memory <= MOST_MEMORY:
        size = f"{definition.memory / MIB:g} MiB"
        raise UserError(f"A machine can have 64 MiB to 16 GiB of memory, not {size}; choose a size between.")
    if definition.memory % PAGE:
        raise UserError(f"The memory of {definition.memory} bytes is not a multiple of 4096; choose a round size.")
    if not 1 <= definition.cpus <= MOST_CPUS:
        raise UserError(f"A machine can have 1 to {MOST_CPUS} CPUs, not {definition.cpus}; choose a number between.")
    if definition.clock not in CLOCKS:
        raise UserError(f"There is no clock {definition.clock!r}; choose {' or '.join(CLOCKS)}.")
    if definition.bus not in BUSES:
        raise UserError(f"There is no bus {definition.bus!r}; choose {' or '.join(BUSES)}.")
    if not definition.kernel and not definition.firmware:
        raise UserError("There is nothing to start; give a kernel, a firmware or an image.")
    if definition.initrd and not definition.kernel:
        raise UserError("An initrd without a kernel does nothing; give the kernel too.")
    if "\0" in definition.append:
        raise UserError("The kernel's parameters contain a zero byte; take it out.")
    return definition


def parse_size(text: str | int) -> int:
    """Bytes that `512M`, `2GiB` or a plain number mean; raises UserError for anything else."""
    if isinstance(text, int):
        return text
    match = _SIZE.match(text.strip())
    if not match:
        raise UserError(f"{text!r} is not a size; write it as 512M or 2G.")
    return int(match[1]) * _UNITS[match[2].upper()]


def kernel_parameters(append: str) -> str:
    """The kernel's command line: the user's words behind those that it needs to talk to us and that they don't set."""
    names = {word.partition("=")[0] for word in append.split()}
    added = [text for name, text in KERNEL_DEFAULTS if name not in names]
    return " ".join([*added, *([append.strip()] if append.strip() else [])])
