import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.programs import call


def test_a_disk_goes_through_the_formats_and_back(tmp_path: Path) -> None:
    raw, vdi, back = (str(tmp_path / name) for name in ("a.raw", "a.vdi", "b.raw"))
    assert call("disk", "create", raw, "3M").returncode == 0
    with open(raw, "r+b") as file:
        file.seek(1 << 20)
        file.write(b"disk" * 1024)
    assert call("disk", "convert", "-O", "vdi", raw, vdi).returncode == 0
    assert call("disk", "check", vdi).returncode == 0
    assert call("disk", "convert", vdi, back).returncode == 0
    assert Path(back).read_bytes() == Path(raw).read_bytes()
    assert call("disk", "compare", vdi, raw).returncode == 0
    Path(back).write_bytes(bytes(3 << 20))
    found = call("disk", "compare", vdi, back)
    assert (found.returncode, found.stdout) == (1, b"Content mismatch at offset 1048576!\n")


def test_info_and_map_are_json(tmp_path: Path) -> None:
    path = str(tmp_path / "a.vmdk")
    call("disk", "create", "-f", "vmdk", path, "1G")
    info = json.loads(call("disk", "info", "--output=json", path).stdout)
    assert (info["format"], info["virtual-size"], info["cluster-size"]) == ("vmdk", 1 << 30, 65536)
    assert json.loads(call("disk", "map", "--output=json", path).stdout) == [
        {"start": 0, "length": 1 << 30, "depth": 0, "present": False, "zero": True, "data": False, "compressed": False}
    ]


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed (qemu-utils)")
def test_info_says_what_qemu_img_says(tmp_path: Path) -> None:
    path = str(tmp_path / "a.vdi")
    call("disk", "create", "-f", "vdi", path, "5M")
    ours = json.loads(call("disk", "info", "--output=json", path).stdout)
    theirs = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", path]))
    for name in ("filename", "format", "virtual-size", "actual-size", "cluster-size"):
        assert ours[name] == theirs[name]


def test_resize_by_a_difference(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(8192))
    assert call("disk", "resize", str(path), "+1M").returncode == 0
    assert path.stat().st_size == 8192 + (1 << 20)
    refused = call("disk", "resize", str(path), "-1M")
    assert refused.returncode == 2 and b"--shrink" in refused.stderr
    assert call("disk", "resize", "--shrink", str(path), "-1M").returncode == 0
    assert path.stat().st_size == 8192


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "-f", "nonsense", "x", "1M"], b"'nonsense' is not known"),
        (["create", "-f", "vhdx", "x", "1M"], b"is read, not written"),
        (["create", "x", "many"], b"is no size"),
        (["create", "-f", "vdi", "-o", "colour=red", "x", "1M"], b"no option 'colour'"),
        (["info", "/nowhere/at/all"], b"No such file"),
        (["create", "/nowhere/at/all", "1M"], b"No such file"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: bytes) -> None:
    found = call("disk", *[str(tmp_path / word) if word == "x" else word for word in arguments])
    assert found.returncode == 2
    assert sentence in found.stderr and found.stderr.count(b"\n") == 1
    assert not list(tmp_path.iterdir())
