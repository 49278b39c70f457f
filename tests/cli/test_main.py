"""The program as a whole: its verbs, and that every failure is one sentence and a status."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guesthouse.cli import main
from guesthouse.cli.main import VERBS
from guesthouse.errors import UserError
from guesthouse.version import __version__
from tests.cli.programs import ENVIRONMENT, PROGRAM, QUICK, call


def test_the_version() -> None:
    result = call("--version")
    assert (result.returncode, result.stdout.decode().split()[-1]) == (0, __version__)


def test_the_help_names_every_verb_without_importing_one() -> None:
    result = call("--help")
    assert result.returncode == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", result.stdout.decode(), re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    result = call(verb, "--help")
    assert result.returncode == 0 and result.stdout.startswith(f"Usage: guesthouse {verb}".encode())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "nonsense"),
        (["run", "--nonsense"], "--nonsense"),
        (["run", "no-such-image"], "no-such-image"),
        (["run", "../etc"], "../etc"),
        (["run", "--kernel", "/nonexistent/file"], "/nonexistent/file"),
        (["run", "--kernel", "/"], "folder"),
        (["run", "--kernel", "/etc/passwd"], "is text"),
        (["run", "--memory", "lots"], "lots"),
        (["run", "hello", "--memory", "1M"], "64 MiB"),
        (["run", "hello", "--engine", "steam"], "steam"),
        (["run", "hello", "--disk", "/nonexistent/disk"], "/nonexistent/disk"),
        (["run", "hello", "--trace", "everything"], "everything"),
        (["run", "hello", "--trace", "sbi", "--trace-file", "/nonexistent/trace"], "/nonexistent/trace"),
        (["run", "hello", "--timeout", "0"], "timeout"),
        (["run", "hello", "--kernel", "x"], "kernel"),
        (["run", "tiny", "--"], "command"),
        (["run", "hello", "--", "ls"], "hello"),
        (["pull", "no-such-image"], "no-such-image"),
    ],
)
def test_what_the_user_got_wrong_is_one_sentence_and_status_2(arguments: list[str], word: str) -> None:
    quick = QUICK if arguments[0] == "run" and "--" not in arguments and "--engine" not in arguments else []
    result = call(*arguments, *quick)
    text = result.stderr.decode()
    assert result.returncode == 2
    assert text.startswith("guesthouse: ") and text.count("\n") == 1 and word in text
    assert result.stdout == b""


def test_a_defect_leaves_its_traceback_in_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise KeyError("inside")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(main.program, "main", broken)
    assert main.call([]) == 2
    text = capsys.readouterr().err
    (log,) = (tmp_path / "guesthouse" / "logs").iterdir()
    assert text.count("\n") == 1 and str(log) in text
    assert "KeyError: 'inside'" in log.read_text() and "Traceback" in log.read_text()


def test_a_user_error_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise UserError("Mend it.")

    monkeypatch.setattr(main.program, "main", refuse)
    assert main.call([]) == 2
    assert capsys.readouterr().err == "guesthouse: Mend it.\n"


def test_output_into_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = call("--help", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


def test_doctor_tells_what_is_active(tmp_path: Path) -> None:
    result = call("doctor", env={**ENVIRONMENT, "XDG_RUNTIME_DIR": str(tmp_path)})
    text = result.stdout.decode()
    assert result.returncode == 0
    for fact in (
        "llvmlite",
        "landlock",
        "seccomp",
        "no new privileges",
        "namespaces",
        "kvm",
        "cache",
        "compile service  not running",
    ):
        assert fact in text


def test_images_lists_the_built_in_one(tmp_path: Path) -> None:
    result = call("images", env={**ENVIRONMENT, "XDG_DATA_HOME": str(tmp_path)})
    assert result.returncode == 0 and result.stdout.startswith(b"hello ")


@pytest.mark.slow
def test_without_a_cache_it_says_so_once_and_runs() -> None:
    environment = {**ENVIRONMENT, "XDG_CACHE_HOME": "/proc/no-such-folder"}  # where not even root can write
    result = call("run", "hello", *QUICK, env=environment, timeout=120)
    assert result.returncode == 0 and b"Powering off" in result.stdout
    assert result.stderr.count(b"not kept") == 1 and result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(closed: str) -> None:
    command = " ".join([*PROGRAM, "run", "hello", *QUICK, closed])
    result = subprocess.run(["sh", "-c", command], env=ENVIRONMENT, capture_output=True, timeout=40)
    assert b"Traceback" not in result.stderr
    assert result.returncode == 0


def test_a_folder_with_modules_of_the_same_names_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "select.py").write_text("raise RuntimeError")
    (tmp_path / "msgspec.py").write_text("raise RuntimeError")
    code = "import sys; from guesthouse.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, "run", "hello", *QUICK]
    result = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, timeout=40)
    assert (result.returncode, result.stderr) == (0, b"")
