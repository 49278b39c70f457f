"""`guesthouse run` on a terminal: raw while the guest has it, and given back whatever happens."""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.programs import ENVIRONMENT, PROGRAM, QUICK, call, program

LFLAG = 3


@pytest.fixture(scope="module", autouse=True)
def native_parts() -> None:
    assert call("build", timeout=120).returncode == 0


class Session:
    """The real program on a terminal of its own."""

    def __init__(self, path: str, *options: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [*PROGRAM, "run", "--firmware", path, *QUICK, *options],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=ENVIRONMENT,
            start_new_session=True,
        )

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + 20
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"waited for {text!r}, saw {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen.split(text, 1)[1]

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[LFLAG] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def wait_restored(self) -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if termios.tcgetattr(self.slave) == self.before:
                return True
            time.sleep(0.02)
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Session]:
    session = Session(program(tmp_path, "echo"))
    try:
        session.expect(b"Ctrl-A x quits")
        session.type(b"+")
        session.expect(b"+")
        yield session
    finally:
        session.close()


def test_keys_come_one_by_one_and_ctrl_c_is_the_guests(echo: Session) -> None:
    assert echo.raw()
    echo.type(b"a\x03\x1a\x04b")
    echo.expect(b"a\x03\x1a\x04b")
    echo.type(b"q")
    assert echo.process.wait(20) == 0
    assert echo.wait_restored()


def test_ctrl_a_x_quits_with_0(echo: Session) -> None:
    echo.type(b"\x01x")
    assert echo.process.wait(20) == 0
    assert echo.wait_restored()


def test_ctrl_a_h_helps_and_ctrl_a_a_sends_ctrl_a(echo: Session) -> None:
    echo.type(b"\x01h")
    echo.expect(b"Ctrl-A x   quit")
    echo.type(b"\x01a-\x01\x01+")
    echo.expect(b"\x01-\x01+")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_terminal_comes_back_after_a_signal(echo: Session, number: signal.Signals) -> None:
    assert echo.raw()
    echo.process.send_signal(number)
    assert echo.process.wait(20) == (-9 if number == signal.SIGKILL else 128 + number)
    assert echo.wait_restored()


def test_the_terminal_comes_back_after_the_worker_died(echo: Session) -> None:
    children = Path(f"/proc/{echo.process.pid}/task/{echo.process.pid}/children").read_text().split()
    workers = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "guest worker\n"]
    for pid in workers:
        os.kill(int(pid), signal.SIGKILL)
    assert workers
    assert echo.process.wait(20) == 2
    assert echo.wait_restored()


def test_it_is_raw_again_after_a_stop(echo: Session) -> None:
    echo.process.send_signal(signal.SIGSTOP)
    termios.tcsetattr(echo.slave, termios.TCSANOW, echo.before)
    echo.process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + 10
    while not echo.raw() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert echo.raw()


def test_the_timeout_gives_the_terminal_back(tmp_path: Path) -> None:
    session = Session(program(tmp_path, "spin"), "--timeout", "1")
    try:
        session.expect(b"time limit of 1 s")
        assert session.process.wait(20) == 124
        assert session.wait_restored()
    finally:
        session.close()
