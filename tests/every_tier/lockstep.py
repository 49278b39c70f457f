"""Runs a program on several engines at once and compares them whenever they stop."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from guesthouse.virtual.spec.exits import Exit

from .engines import DEVICE_EXITS, Rig, difference, memory_difference


class Startable(Protocol):
    """What a run begins with: `riscv_program.Program` and its like."""

    image: bytes
    memory: dict[int, bytes]
    slice: int


def start(rig: Rig, program: Startable) -> None:
    """Put a program in place; what the engine remembers of another is dropped."""
    rig.ram[:] = bytes(len(rig.ram))
    for address, data in program.memory.items():
        at = address - rig.memory.base
        rig.ram[at : at + len(data)] = data
    rig.load(program.image)
    rig.state.slice = program.slice
    rig.engine.forget()


def answer(rig: Rig, exit: tuple[Any, ...]) -> None:
    """Be the machine: devices answer by their address, one address in sixteen holds nothing."""
    s = rig.state
    if exit[0] in DEVICE_EXITS:
        s.exit_answered = 2 if exit[1] >> 4 & 15 == 15 else 1
        s.exit_value = (exit[1] * 0x9E37_79B9_7F4A_7C15 ^ exit[2]) & ((1 << 8 * exit[2]) - 1)
    elif exit[0] == Exit.WAIT:
        s.attention = 1


def compare(
    rigs: list[Rig],
    program: Startable,
    rng: random.Random,
    steps: int,
    longest: int = 200,
    disturb: Callable[[random.Random, list[Rig]], None] | None = None,
) -> dict[str, int]:
    """Run `steps` steps in stretches of random length; raises AssertionError at the first difference, counts exits.

    `disturb` changes something on all of them between two stretches.
    """
    first, others = rigs[0], rigs[1:]
    for rig in rigs:
        start(rig, program)
    left, exits = steps, {}
    while left > 0:
        budget = min(left, rng.choice((1, 2, 3, rng.randrange(1, 30), rng.randrange(1, longest))))
        before, image = first.state.instructions, first.image()
        found = first.run(budget)
        for rig in others:
            other = rig.run(budget)
            if found != other or first.saved() != rig.saved():
                raise AssertionError(report(rigs, rig, program, steps - left, budget, image, (found, other)))
        exits[found[0].name] = exits.get(found[0].name, 0) + 1
        left -= max(first.state.instructions - before, 0 if found[0] == Exit.BUDGET else 1)
        for rig in rigs:
            answer(rig, found)
        if disturb is not None:
            disturb(rng, rigs)
    for rig in others:
        if first.digest() != rig.digest():
            what = memory_difference(first.ram, rig.ram, first.memory.base)
            raise AssertionError(f"{rig.name} left other memory than {first.name}: {what}")
    return exits


def report(
    rigs: list[Rig], rig: Rig, program: Startable, done: int, budget: int, image: bytes, exits: tuple[Any, ...]
) -> str:
    """Where two engines parted and in what."""
    isa = rig.isa
    text = f"{rig.name} after {done} steps, within {budget}: exits {exits}; "
    text += difference(isa, rigs[0].saved(), rig.saved())
    first, found = rigs[0].saved(), rig.saved()
    assert first != found or exits[0] != exits[1]
    rigs[0].load(image)
    s = rigs[0].state
    told = [name for name in ("pc", "mode", "satp") if name in isa.layout.fields]
    return text + "; before: " + ", ".join(f"{name}={getattr(s, name):#x}" for name in told)
