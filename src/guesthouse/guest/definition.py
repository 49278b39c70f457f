"""The definition of a guest: what machine it gets and what it starts with, as plain data."""

from __future__ import annotations

import re

import msgspec

from guesthouse.errors import UserError

MIB = 1 << 20
LEAST_MEMORY, MOST_MEMORY = 64 * MIB, 16 << 30
MOST_CPUS = 32
PAGE = 4096
LONGEST_TAG = 31
"""Bytes of a shared folder's tag: as many as QEMU takes."""
NO_USER = (1 << 32) - 1
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


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a definition; unknown names are mistakes."""


class Share(Entry, frozen=True):
    """A folder of the host that the guest mounts by its tag, and whether it may not change anything there.

    `uid` and `gid` are the user and group, in the guest, of files that are the host user's own.
    """

    folder: str
    tag: str
    readonly: bool = False
    uid: int = 0
    gid: int = 0


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A guest as data.

    `memory` counts bytes of RAM, `cpus` the processors. `clock` is "host", or "instructions": one nanosecond an
    instruction. Where `seed` is given, all randomness that the guest gets comes from it. `disks` maps serial numbers to
    whether the disk is read-only, in the order of the slots; `ports` names the ports of a virtio console. `shares` are
    folders of the host's. `vsock` is the path of the socket to the guest's own, "" for none; `balloon`: it has one.
    `bus` is where virtio devices are: "mmio" or "pci". `reboot`: a reset starts again.
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
    shares: tuple[Share, ...] = ()
    vsock: str = ""
    balloon: bool = False
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
    check_shares(definition.shares)
    return definition


def check_shares(shares: tuple[Share, ...]) -> None:
    """Raise UserError where folders can't be shared under these tags."""
    tags = [share.tag for share in shares]
    for share in shares:
        if not 0 < len(share.tag.encode()) <= LONGEST_TAG or "\0" in share.tag:
            raise UserError(f"A shared folder's tag has 1 to {LONGEST_TAG} bytes, not {share.tag!r}; choose another.")
        if tags.count(share.tag) > 1:
            raise UserError(f"Two shared folders have the tag {share.tag!r}; choose another for one of them.")
        if not (0 <= share.uid < NO_USER and 0 <= share.gid < NO_USER):
            raise UserError(f"User and group of the share {share.tag!r} are numbers below {NO_USER}; choose others.")


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
