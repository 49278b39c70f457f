import msgspec
import pytest

from guesthouse.errors import UserError
from guesthouse.guest.definition import Definition, File, check, kernel_parameters, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512M", 512 << 20), ("2g", 2 << 30), ("1GiB", 1 << 30), ("64 MB", 64 << 20), ("4096", 4096), (7, 7)],
)
def test_sizes(text: str | int, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12 parsecs", "0x10"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="is not a size"):
        parse_size(text)


def test_a_definition_survives_being_written_down() -> None:
    definition = Definition(kernel=File("/boot/kernel"), initrd=File(data=b"x"), disks=(("/disk", True),), seed=3)
    data = msgspec.msgpack.encode(definition)
    assert msgspec.msgpack.decode(data, type=Definition) == definition
    assert check(definition) is definition


def test_kernel_parameters_are_added_once() -> None:
    assert kernel_parameters(kernel_parameters("quiet")) == "console=ttyS0 panic=-1 quiet"
