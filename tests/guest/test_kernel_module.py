import gzip
import lzma

import pytest
import zstandard

from guesthouse.errors import UserError
from guesthouse.guest.kernel_module import is_module, load_order, module_information, module_name, unpack_module
from tests.guest.packages import module


def test_names() -> None:
    assert module_name("kernel/drivers/char/virtio-rng.ko.xz") == "virtio_rng"
    assert is_module("a/b.ko.zst")
    assert not is_module("a/b.konfig")


def test_information() -> None:
    assert module_information(module("a,b")) == {"license": ["GPL"], "depends": ["a,b"]}


@pytest.mark.parametrize("suffix, pack", [(".xz", lzma.compress), (".gz", gzip.compress), (".zst", zstandard.compress)])
def test_every_compression(suffix: str, pack: object) -> None:
    assert unpack_module(f"x.ko{suffix}", pack(module())) == module()  # type: ignore[operator]


def test_order_follows_needs_and_skips_what_is_built_in() -> None:
    modules = {
        "f/ext4.ko.xz": lzma.compress(module("jbd2,crc-16")),
        "f/jbd2.ko": module(),
        "f/crc-16.ko": module("core"),
    }
    order = load_order(["ext4", "jbd2"], modules, ["core"])
    assert [path for path, _ in order] == ["f/jbd2.ko", "f/crc-16.ko", "f/ext4.ko"]
    assert order[-1][1] == module("jbd2,crc-16")


@pytest.mark.parametrize("modules", [{}, {"a.ko": module("b")}, {"a.ko": module("b"), "b.ko": module("a")}])
def test_missing_and_circular_needs_are_refused(modules: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match="no usable module"):
        load_order(["a"], modules, [])


def test_optional_modules_come_first_where_they_are_there() -> None:
    order = load_order(["a"], {"a.ko": module(), "crc-32.ko": module()}, [], ["gone", "crc_32"])
    assert [path for path, _ in order] == ["crc-32.ko", "a.ko"]
