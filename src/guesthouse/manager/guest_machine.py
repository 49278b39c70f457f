"""From a plan to the machine that carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from guesthouse.host.handover import LineLog
from guesthouse.host.user_folders import told_plainly
from guesthouse.manager.guest_command import AGENT_PARAMETER, PARAMETERS
from guesthouse.manager.native_parts import hello_image
from guesthouse.manager.protocol import Plan
from guesthouse.virtual.devices.wires import CharacterBackend, PortBackend
from guesthouse.virtual.machine.machine import Machine

if TYPE_CHECKING:
    from guesthouse.virtual.machine.network import Cable


def build_machine(
    plan: Plan,
    console: CharacterBackend | None,
    ports: Mapping[str, PortBackend] | None,
    network: Cable | None = None,
) -> Machine:
    """Open everything that the plan names, and put the guest into memory; raises UserError where that can't be."""
    asked = PARAMETERS if plan.command is not None else AGENT_PARAMETER if plan.agent else ""
    append = f"{asked} {plan.append}".strip()
    return Machine(
        kernel=hello_image() if plan.builtin else plan.kernel or None,
        initrd=plan.initrd or None,
        firmware=plan.firmware or None,
        append=append,
        memory=plan.memory,
        cpus=plan.cpus,
        disks=[(disk.file, disk.readonly) for disk in plan.disks],
        ports=ports,
        network=network,
        shares=plan.shares,
        vsock=plan.vsock,
        balloon=plan.balloon,
        console=console,
        engine=plan.engine,
        clock=plan.clock,
        seed=plan.seed,
        reboot=plan.reboot,
        raw=plan.raw,
        bus=plan.bus,
    )


def find_compile_service(machine: Machine) -> None:
    """Have the compile service at hand before the worker confines itself, where the engine may need one."""
    translations = getattr(machine._core.engine, "translations", None)
    if translations is not None:
        translations.source.start()


def open_trace(plan: Plan) -> LineLog:
    """Where the plan wants its trace; raises UserError where that can't be written."""
    with told_plainly(f"write the trace {plan.trace_file}"):
        return LineLog(plan.trace_file, plan.newline)
