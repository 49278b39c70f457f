"""Guests that fight for locks, rewrite code and pages that others use, and build as make does, for a few seconds.

`python -m tests.guests.stress_guest` does the same for minutes.
"""

import pytest

from tests.guests.stress_guest import COMPILER, PROGRAMS, stress
from tests.guests.test_boot import tiny  # noqa: F401  (a fixture)

pytestmark = pytest.mark.boot


@pytest.mark.skipif(COMPILER is None, reason="the RISC-V compiler is not installed")
@pytest.mark.parametrize(("engine", "cpus"), [("auto", 2), ("auto", 4), ("interpreter", 3), ("translator", 2)])
def test_parallel_programs_keep_their_promises(tiny, engine: str, cpus: int) -> None:  # noqa: F811
    assert len(stress(tiny, PROGRAMS, cpus, engine, seconds=1)) == len(PROGRAMS)
