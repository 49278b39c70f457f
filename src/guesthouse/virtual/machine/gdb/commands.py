"""What `monitor` in the debugger offers; a command is one function and one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from guesthouse.virtual.machine.gdb.target import Target


class Outcome(msgspec.Struct, frozen=True):
    """What is shown, and whether the run is to end."""

    text: str
    ends: bool = False


def command(target: Target, words: Sequence[str]) -> Outcome:
    """Do what was typed behind `monitor`; what is not known is said so."""
    name, *rest = words or ["help"]
    found = COMMANDS.get(name)
    if found is None:
        return Outcome(f"There is no command {name!r}; `monitor help` lists them.\n")
    return found(target, rest)


def _help(target: Target, words: Sequence[str]) -> Outcome:
    """help: list the commands"""
    return Outcome("".join(f"{function.__doc__}\n" for function in dict.fromkeys(COMMANDS.values())))


def _info(target: Target, words: Sequence[str]) -> Outcome:
    """info: what the machine is and where it stands"""
    machine = target.machine
    memory = machine.memory
    lines = [
        f"engine {machine.engine_name}, {machine.instructions} steps done",
        f"RAM {memory.base:#x} to {memory.base + memory.size - 1:#x}",
        *(f"{region.name} {region.base:#x} to {region.end - 1:#x}" for region in machine.devices.bus.regions),
    ]
    for thread, processor in target.processors.items():
        r = processor.registers
        doing = processor.doing
        lines.append(f"CPU {thread - 1}, {doing}: pc {r['pc']:#x}, mode {r['mode']}, satp {r['satp']:#x}")
    addresses, stepping = "physical" if target.physical else "virtual", "no" if target.masks_interrupts else "the"
    lines.append(f"memory is read by {addresses} address; a step takes {stepping} interrupts")
    return Outcome("\n".join([*lines, ""]))


def _physical(target: Target, words: Sequence[str]) -> Outcome:
    """phys [on|off]: take addresses of memory as guest-physical, or virtual again"""
    if words and words[0] in SWITCH:
        target.physical = SWITCH[words[0]]
    return Outcome(f"Addresses are {'physical' if target.physical else 'virtual'}.\n")


def _interrupts(target: Target, words: Sequence[str]) -> Outcome:
    """interrupts [on|off]: whether a single step may take an interrupt (off at first)"""
    if words and words[0] in SWITCH:
        target.masks_interrupts = not SWITCH[words[0]]
    return Outcome(f"A single step takes {'no' if target.masks_interrupts else 'the'} interrupts.\n")


def _translate(target: Target, words: Sequence[str]) -> Outcome:
    """translate ADDRESS: the guest-physical address that a virtual one means now"""
    try:
        address = int(words[0], 0)
    except (IndexError, ValueError):
        return Outcome("Give an address, such as `monitor translate 0xffffffff80000000`.\n")
    physical = target.processors[target.thread].memory.translate(address)
    return Outcome("It is not mapped.\n" if physical is None else f"{physical:#x}\n")


def _reset(target: Target, words: Sequence[str]) -> Outcome:
    """reset: start the guest anew; it stands at its first instruction"""
    target.machine.reset()
    pc = target.machine.registers["pc"]
    return Outcome(f"The guest stands at {pc:#x}; tell gdb with `maintenance flush register-cache` or `stepi`.\n")


def _quit(target: Target, words: Sequence[str]) -> Outcome:
    """quit: end the run"""
    return Outcome("", ends=True)


SWITCH = {"on": True, "1": True, "off": False, "0": False}
COMMANDS: dict[str, Callable[[Target, Sequence[str]], Outcome]] = {
    "help": _help,
    "info": _info,
    "phys": _physical,
    "interrupts": _interrupts,
    "translate": _translate,
    "reset": _reset,
    "system_reset": _reset,
    "quit": _quit,
}
