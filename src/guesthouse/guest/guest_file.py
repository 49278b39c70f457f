"""The definition file of a guest, `guest.toml`: what machine it is, what it starts and which files belong to it.

Every option of `guesthouse run` has its field here, by the same name; docs/guest-definition.md tells each.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.definition import (
    BUSES,
    CLOCKS,
    ENGINES,
    LEAST_MEMORY,
    MOST_CPUS,
    MOST_MEMORY,
    Entry,
    Share,
    check_shares,
    parse_size,
)

FORMAT = 1
TRACES = ("instructions", "devices", "traps", "sbi")
NETWORKS = ("none", "user", "tap", "socket")
GRANULARITIES = (1, 2, 4, 8, 16)


class Disk(Entry, frozen=True):
    """A disk image, and whether the guest may not write to it."""

    file: str
    readonly: bool = False


class Network(Entry, frozen=True):
    """How the guest is connected: `mode` is none, user, tap:NAME or socket:PATH.

    `publish` lists [HOSTIP:]HOSTPORT:GUESTPORT[/udp], `egress` the rules of what it may reach; `pcap` names a file that
    gets every frame; `mac` is the card's address.
    """

    mode: str = "none"
    publish: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()
    pcap: str = ""
    mac: str = ""


class GuestFile(Entry, frozen=True):
    """A guest as its definition file says; paths are relative to that file's folder, "" is none."""

    format: int = FORMAT
    name: str = ""
    description: str = ""
    image: str = ""
    kernel: str = ""
    raw: bool = False
    initrd: str = ""
    append: str = ""
    firmware: str = ""
    memory: str | int = "512M"
    cpus: int = 1
    bus: str = "mmio"
    disks: tuple[Disk, ...] = ()
    shares: tuple[Share, ...] = ()
    vsock: str = ""
    balloon: bool = False
    network: Network = Network()
    command: tuple[str, ...] = ()
    engine: str = "auto"
    clock: str = "host"
    seed: int | None = None
    reboot: bool = True
    timeout: float | None = None
    gdb: str = ""
    stats: bool = False
    stats_json: str = ""
    trace: tuple[str, ...] = ()
    trace_file: str = ""
    signature: str = ""
    signature_granularity: int = 4


PATHS = ("kernel", "initrd", "firmware", "vsock", "trace_file", "signature")


def problems(guest: GuestFile) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it) of values that no machine can have."""
    if guest.format != FORMAT:
        yield "format", f"is {guest.format}, but this program knows {FORMAT} only; a newer one wrote the file"
    try:
        if not LEAST_MEMORY <= parse_size(guest.memory) <= MOST_MEMORY:
            yield "memory", f"is {guest.memory}; a guest has 64M to 16G"
    except UserError as error:
        yield "memory", f"is wrong: {str(error).rstrip('.')}"
    if not 1 <= guest.cpus <= MOST_CPUS:
        yield "cpus", f"is {guest.cpus}; a guest has 1 to {MOST_CPUS}"
    for field, allowed in (("engine", ENGINES), ("clock", CLOCKS), ("bus", BUSES)):
        if getattr(guest, field) not in allowed:
            yield field, f"is {getattr(guest, field)!r}; choose {', '.join(allowed)}"
    for name in guest.trace:
        if name not in TRACES:
            yield "trace", f"has {name!r}; choose from {', '.join(TRACES)}"
    try:
        check_shares(guest.shares)
    except UserError as error:
        yield "shares", f"is wrong: {str(error).rstrip('.')}"
    if guest.network.mode.partition(":")[0] not in NETWORKS:
        yield "network.mode", f"is {guest.network.mode!r}; write none, user, tap:NAME or socket:PATH"
    if guest.signature_granularity not in GRANULARITIES:
        yield "signature_granularity", f"is {guest.signature_granularity}; choose 1, 2, 4, 8 or 16"
    if guest.timeout is not None and guest.timeout <= 0:
        yield "timeout", f"is {guest.timeout:g}; it counts seconds, more than 0"
    if guest.seed is not None and guest.seed < 0:
        yield "seed", "is negative; choose 0 or more"


def changed(guest: GuestFile, fields: Mapping[str, Any]) -> GuestFile:
    """The definition with some fields set; `network` has those of the network that are set, by name.

    What needs a network brings the user network, where there is none.
    """
    network = guest.network
    if set_here := fields.get("network"):
        network = msgspec.structs.replace(network, **set_here)
        if network.mode == "none" and "mode" not in set_here:
            network = msgspec.structs.replace(network, mode="user")
    return msgspec.structs.replace(guest, **{**fields, "network": network})


def resolved(guest: GuestFile, folder: str) -> GuestFile:
    """The definition with its paths made from the folder that its file is in."""

    def at(path: str) -> str:
        return posixpath.join(folder, path) if path else ""

    changes: dict[str, Any] = {name: at(getattr(guest, name)) for name in PATHS}
    changes["disks"] = tuple(msgspec.structs.replace(disk, file=at(disk.file)) for disk in guest.disks)
    changes["shares"] = tuple(msgspec.structs.replace(share, folder=at(share.folder)) for share in guest.shares)
    changes["network"] = msgspec.structs.replace(guest.network, pcap=at(guest.network.pcap))
    if guest.stats_json not in ("", "-"):
        changes["stats_json"] = at(guest.stats_json)
    return msgspec.structs.replace(guest, **changes)
