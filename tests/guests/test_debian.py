"""Image `debian`, pulled and started as users do it: minutes, so only where it is asked for (`pytest -m debian`)."""

import subprocess
import time
from typing import IO

import pytest

from tests.cli.programs import ENVIRONMENT, PROGRAM, call

pytestmark = [pytest.mark.debian, pytest.mark.slow, pytest.mark.timeout(1800)]
LIMIT = 300


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    """The image of today, in the user's own store; nothing is done where that is there."""
    pulled = call("pull", "debian", timeout=1500)
    assert pulled.returncode == 0, pulled.stderr.decode()


def command(text: str) -> str:
    result = call("run", "debian", "--timeout", str(LIMIT), "--", "sh", "-c", text, timeout=LIMIT + 50)
    assert result.returncode == 0, result
    return result.stdout.decode()


def read_until(stream: IO[bytes], text: bytes) -> bytes:
    """What comes up to and with a text; the time limit of the run ends it where the text never comes."""
    seen = b""
    while text not in seen:
        piece = stream.read1(4096)  # type: ignore[attr-defined]
        assert piece, seen[-2000:]
        seen += piece
    return seen


def test_a_second_pull_does_nothing() -> None:
    begun = time.monotonic()
    again = call("pull", "debian", timeout=200)
    assert b"up to date" in again.stderr
    assert time.monotonic() - begun < 100


def test_the_console_logs_root_in_and_the_system_powers_off() -> None:
    process = subprocess.Popen(
        [*PROGRAM, "run", "debian", "--timeout", str(LIMIT)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    read_until(process.stdout, b"login: root (automatic login)")
    read_until(process.stdout, b":~# ")
    process.stdin.write(b"echo $((6 * 7))-$(tty)\n")
    process.stdin.flush()
    read_until(process.stdout, b"42-/dev/ttyS0")
    process.stdin.write(b"poweroff\n")
    process.stdin.flush()
    read_until(process.stdout, b"Power down")
    assert process.wait(30) == 0


def test_every_unit_and_every_package_is_well() -> None:
    seen = command(
        "systemctl is-system-running --wait; systemctl --failed --no-legend --plain; echo units;"
        " dpkg --audit; echo audit; dpkg-query -W -f '${db:Status-Abbrev}\\n' | sort -u; apt-get check -qq; echo apt $?"
    )
    assert seen.splitlines() == ["running", "units", "audit", "ii ", "apt 0"]


def test_it_is_the_suite_and_the_kernel_with_its_modules() -> None:
    seen = command(
        ". /etc/os-release; echo $VERSION_CODENAME; uname -m; modprobe wireguard && echo loaded; passwd -S root"
    )
    lines = seen.splitlines()
    assert lines[:3] == ["trixie", "riscv64", "loaded"]
    assert lines[3].split()[1] in ("L", "LK")


def test_what_must_differ_between_machines_is_made_at_the_start() -> None:
    ask = "cat /etc/machine-id; ls /etc/ssh/ssh_host_* 2>/dev/null; ssh-keyscan -q -T 100 -t ed25519 127.0.0.1"
    first, second = (command(f"systemctl -q is-system-running --wait; {ask}").split() for _ in range(2))
    assert len(first[0]) == 32
    assert first[1:3] == ["127.0.0.1", "ssh-ed25519"]
    assert first[0] != second[0]
    assert first[3] != second[3]
