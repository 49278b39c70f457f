import pytest

from guesthouse.virtual.devices.test_finisher import TestFinisher
from tests.virtual.devices.fakes import Power


@pytest.mark.parametrize(
    ("value", "size", "events"),
    [
        (0x5555, 4, [0]),
        (0x5555, 2, [0]),
        (0x0003_3333, 4, [3]),
        (0x3333, 4, [1]),
        (0x7777, 4, ["reset"]),
        (0x1234, 4, []),
    ],
)
def test_commands(value: int, size: int, events: list[object]) -> None:
    power = Power()
    TestFinisher(power).write(0, size, value)
    assert power.events == events
