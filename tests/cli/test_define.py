"""`guesthouse define` and `guests`, and `run` from a definition."""

import contextlib
from pathlib import Path

import click
import pytest

from guesthouse.cli.guest_options import OPTIONS
from guesthouse.cli.run import guest_of
from guesthouse.errors import UserError
from guesthouse.guest.guest_file import Disk
from guesthouse.guest.guest_toml import field_names, parse
from guesthouse.manager.store import ImageDefinition, ImageStore
from tests.cli.programs import ENVIRONMENT, QUICK, call, program


def test_every_option_has_its_field() -> None:
    @click.command()
    def nothing() -> None: ...

    for option in OPTIONS:
        option(nothing)
    names = {parameter.name for parameter in nothing.params}
    assert names and all(name in field_names() or f"network.{name}" in field_names() for name in names)


def test_a_definition_runs_as_its_options_do(tmp_path: Path) -> None:
    firmware = program(tmp_path, "fail")
    defined = call("define", "--firmware", firmware, "--memory", "64M", "--engine", "interpreter")
    assert defined.returncode == 0
    (tmp_path / "guest.toml").write_bytes(defined.stdout)
    assert parse(defined.stdout.decode(), "").memory == "64M"
    assert call("run", tmp_path).returncode == 7
    assert call("run", tmp_path / "guest.toml", "--engine", "reference").returncode == 7


def test_checking(tmp_path: Path) -> None:
    firmware = program(tmp_path, "fail")
    file = tmp_path / "g.toml"
    file.write_text(f'firmware = "{Path(firmware).name}"\n')
    assert call("define", "--check", file).returncode == 0
    for text, wanted in (
        ('firmware = "nothing"', "`firmware` names"),
        ('firmware = "x"\ncpus = 0', "`cpus`"),
        ('firmware = "x"\n[[disks]]\nfile = "none.img"', "`firmware`"),
        ("cpus = 1", "nothing to start"),
        ('gdb = "x"', "is no port"),
    ):
        file.write_text(text)
        result = call("define", "--check", file)
        assert result.returncode == 2 and wanted in result.stderr.decode() and result.stderr.count(b"\n") == 1


def test_there_are_no_guests_at_first(tmp_path: Path) -> None:
    own = {"env": {**ENVIRONMENT, "XDG_DATA_HOME": str(tmp_path)}}
    assert call("guests", **own).stdout == b""
    refused = call("guests", "remove", "none", **own)
    assert refused.returncode == 2 and b"no guest" in refused.stderr
    refused = call("run", "--name", "../x", "hello", *QUICK, **own)
    assert refused.returncode == 2 and b"can't be a guest's name" in refused.stderr


def test_a_run_of_an_image_with_a_disk_has_a_copy_that_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "made").write_bytes(b"base")
    image = ImageStore().put(ImageDefinition("whole", ""), {"kernel": b"k", "disk": tmp_path / "made"})
    assert image.disk is not None
    with contextlib.ExitStack() as stack:
        guest = guest_of("whole", None, {"disks": (Disk("mine.img"),)}, stack)
        own, mine = (disk.file for disk in guest.disks)
        assert mine == "mine.img"
        assert Path(own).read_bytes() == b"base"
        Path(own).write_bytes(b"changed")
    assert not Path(own).exists()
    assert image.disk.read_bytes() == b"base"
    with pytest.raises(UserError, match="run --name NAME whole"):
        guest_of("whole", None, {}, None)
