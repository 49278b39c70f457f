"""From the definition of a guest to the plan of a run."""

from __future__ import annotations

import os

from guesthouse.errors import UserError
from guesthouse.guest.definition import parse_size
from guesthouse.guest.guest_file import GuestFile
from guesthouse.manager.protocol import GdbPort, Plan

BUILT_IN = "hello"


def plan_of(guest: GuestFile, newline: str = "\n") -> Plan:
    """What the worker is to do; raises UserError where the definition contradicts itself.

    `newline` ends lines on standard error.
    """
    if guest.image == BUILT_IN and guest.command:
        raise UserError("The guest `hello` runs no commands; use `tiny`.")
    return Plan(
        kernel=guest.kernel,
        raw=guest.raw,
        builtin=BUILT_IN if guest.image == BUILT_IN and not guest.kernel else "",
        initrd=guest.initrd,
        append=guest.append,
        firmware=guest.firmware,
        disks=guest.disks,
        shares=guest.shares,
        vsock=guest.vsock,
        balloon=guest.balloon,
        memory=parse_size(guest.memory),
        cpus=guest.cpus,
        bus=guest.bus,
        engine=guest.engine,
        clock=guest.clock,
        seed=guest.seed,
        reboot=guest.reboot,
        command=tuple(map(os.fsencode, guest.command)) or None,
        trace=guest.trace,
        trace_file=guest.trace_file,
        signature=guest.signature,
        signature_granularity=guest.signature_granularity,
        gdb=gdb_port(guest.gdb) if guest.gdb else None,
        newline=newline,
        network=guest.network,
        name=guest.name,
    )


def gdb_port(text: str) -> GdbPort:
    """The place that `[HOST:]PORT[,wait]` names; raises UserError where it is none."""
    place, _, option = text.partition(",")
    host, _, port = place.rpartition(":")
    if option not in ("", "wait") or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UserError(f"{text!r} is no port; write it as 1234, or HOST:1234, with ,wait where it is to wait.")
    return GdbPort(host.strip("[]") or "127.0.0.1", int(port), option == "wait")
