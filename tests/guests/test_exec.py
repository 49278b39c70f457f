"""A guest that lasts and runs: commands in it and files both ways, by the program itself."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse import UserError, image
from guesthouse.manager.store import ImageStore
from tests.cli.programs import ENVIRONMENT, PROGRAM, call

pytestmark = pytest.mark.boot
PATIENCE = 60


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[dict[str, dict[str, str]]]:
    """A running guest named `one`, in a store of its own; what `call` is to be given."""
    try:
        image("tiny")
    except UserError as error:
        pytest.skip(f"no image: {error}")
    data = tmp_path / "data"
    (data / "guesthouse").mkdir(parents=True)
    (data / "guesthouse" / "images").symlink_to(ImageStore().folder)
    own = {"env": {**ENVIRONMENT, "XDG_DATA_HOME": str(data)}}
    command = [*PROGRAM, "run", "--name", "one", "tiny"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **streams, **own) as process:  # type: ignore[call-overload]
        assert process.stdout
        shown = b""
        while b"root@tiny" not in shown:
            shown += process.stdout.read1()
        yield own
        process.kill()


def test_commands_and_files(guest: dict[str, dict[str, str]], tmp_path: Path) -> None:
    done = call("exec", "one", "-e", "A=b", "-w", "/tmp", "--", "sh", "-c", "cat; pwd; echo $A; echo x >&2; exit 5",
                input=b"in\n", **guest)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (5, b"in\n/tmp\nb\n", b"x\n")
    assert b"uid=65534" in call("exec", "one", "-u", "nobody", "--", "id", **guest).stdout
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_bytes(bytes(range(256)) * 1000)
    assert call("cp", str(tmp_path / "tree"), "one:/tmp/there", **guest).returncode == 0
    assert call("exec", "one", "--", "wc", "-c", "/tmp/there/sub/file", **guest).stdout.startswith(b"256000 ")
    assert call("cp", "one:/tmp/there", str(tmp_path / "back"), **guest).returncode == 0
    assert (tmp_path / "back" / "sub" / "file").read_bytes() == bytes(range(256)) * 1000


def test_a_guest_runs_once_and_is_told_from_one_that_does_not(guest: dict[str, dict[str, str]]) -> None:
    again = call("run", "--name", "one", **guest)
    assert again.returncode == 2 and b"runs already" in again.stderr
    call("exec", "one", "--", "poweroff", **guest)
    deadline = time.monotonic() + PATIENCE
    while (gone := call("exec", "one", "--", "true", **guest)).returncode != 2 or b"does not run" not in gone.stderr:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    for wrong, wanted in (
        (["exec", "two", "--", "true"], b"no guest"),
        (["exec", "one"], b"what to run"),
        (["cp", "a", "b"], b"in a guest"),
        (["exec", "one", "-e", "A", "--", "true"], b"no variable"),
    ):
        refused = call(*wrong, **guest)
        assert refused.returncode == 2 and wanted in refused.stderr
