"""`guesthouse run tiny`: commands in a real guest, and its shell on pipes."""

import os
import subprocess
import time

import pytest

from tests.cli.programs import ENVIRONMENT, PROGRAM, call

pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
]


def command(*words: str, data: bytes = b"", engine: str = "auto") -> "subprocess.CompletedProcess[bytes]":
    return call("run", "tiny", "--engine", engine, "--timeout", "100", "--", *words, input=data, timeout=150)


def test_streams_stay_apart_binary_data_passes_and_the_status_comes_back() -> None:
    data = os.urandom(200_000) + bytes(range(256))
    result = command("sh", "-c", "cat; echo of errors >&2; exit 3", data=data)
    assert result.returncode == 3
    assert result.stdout == data
    assert result.stderr == b"of errors\n"


def test_words_reach_the_command_as_they_are() -> None:
    words = ["a b", "", "-n", "'\"$HOME\\", "ü\n"]
    result = command("sh", "-c", 'for word; do printf "%s|" "$word"; done; kill -9 $$', "sh", *words)
    assert result.stdout == "".join(f"{word}|" for word in words).encode()
    assert (result.returncode, result.stderr) == (128 + 9, b"")


def test_a_program_that_is_not_there_is_127() -> None:
    assert command("no-such-program").returncode == 127


def test_the_shell_takes_piped_input_and_powers_off() -> None:
    result = call("run", "tiny", "--timeout", "100", input=b"echo $((6 * 7))-$(uname -m)\npoweroff\n", timeout=150)
    assert result.returncode == 0
    assert b"42-riscv64" in result.stdout


def test_a_panic_is_70_with_its_line() -> None:
    result = call("run", "tiny", "--timeout", "100", "--append", "rdinit=/none root=/none", timeout=150)
    assert result.returncode == 70
    assert result.stderr.startswith(b"Kernel panic - not syncing: ") and result.stderr.count(b"\n") == 1


def test_an_interrupt_goes_to_the_command_first() -> None:
    arguments = ["run", "tiny", "--timeout", "100", "--", "sh", "-c", "trap 'echo caught; exit 9' INT; echo up; cat"]
    process = subprocess.Popen(
        [*PROGRAM, *arguments], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stdout.read(3) == b"up\n"
    time.sleep(0.5)
    process.send_signal(2)
    assert process.stdout.read(7) == b"caught\n"  # only then is the input closed, which would end the command as well
    output, _ = process.communicate(timeout=100)
    assert (process.returncode, output) == (9, b"")
