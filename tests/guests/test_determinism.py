"""A counted clock makes runs the same to the bit, on every engine, saved and loaded in between or not."""

import random

import pytest

from guesthouse import Machine, Reason
from tests.guests.test_boot import PROMPT, TIMEOUT, tiny  # noqa: F401  (a fixture)
from tests.virtual.machine.test_snapshot import digest

pytestmark = pytest.mark.boot

STEPS = 60_000_000


def booted(image, engine: str, seed: int = 1) -> Machine:
    return Machine(image=image, engine=engine, clock="instructions", seed=seed, memory="128M")


@pytest.fixture(scope="module")
def undisturbed(tiny) -> str:  # noqa: F811
    with booted(tiny, "interpreter") as machine:
        assert machine.run(budget=STEPS).reason is Reason.BUDGET
        return digest(machine)


@pytest.mark.parametrize("engine", ["interpreter", "stitcher", "translator", "auto"])
def test_boots_are_the_same_to_the_bit(tiny, undisturbed: str, engine: str) -> None:  # noqa: F811
    with booted(tiny, engine) as machine:
        machine.run(budget=STEPS)
        assert digest(machine) == undisturbed


def test_cut_saved_and_loaded_it_is_still_the_same(tiny, undisturbed: str) -> None:  # noqa: F811
    dice = random.Random(3)
    machine = booted(tiny, "interpreter")
    engines = ["auto", "interpreter", "auto", "interpreter"]
    for point, engine in zip(sorted(dice.sample(range(STEPS), 4)), engines, strict=True):
        machine.run(budget=point - machine.instructions)
        data = machine.save()
        machine.close()
        machine = Machine.load(data, engine=engine)
    machine.run(budget=STEPS - machine.instructions)
    assert digest(machine) == undisturbed
    machine.close()


def test_another_seed_gives_another_run(tiny, undisturbed: str) -> None:  # noqa: F811
    with booted(tiny, "interpreter", seed=2) as machine:
        machine.run(budget=STEPS)
        assert digest(machine) != undisturbed


def test_whole_boots_take_the_same_steps(tiny) -> None:  # noqa: F811
    ends = []
    for engine in ("interpreter", "auto"):
        with booted(tiny, engine) as machine:
            machine.console.expect(PROMPT, timeout=TIMEOUT)
            machine.console.write("cat /proc/uptime; poweroff\n")
            assert machine.run(timeout=TIMEOUT).reason is Reason.POWER_OFF
            ends.append((machine.instructions, machine.console.output, digest(machine)))
    assert ends[0] == ends[1]
