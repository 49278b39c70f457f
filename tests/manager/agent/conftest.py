import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.host.byte_stream import SocketStream
from guesthouse.manager.agent.agent import Agent
from guesthouse.manager.agent_program import agent_executable

EMULATOR = shutil.which("qemu-riscv64") or shutil.which("qemu-riscv64-static")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as a file."""
    path = tmp_path_factory.mktemp("agent") / "agent"
    path.write_bytes(agent_executable())
    path.chmod(0o755)
    return path


def start_badly() -> None:
    """What a careless parent may leave to its child."""
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    os.umask(0o77)


class Running:
    """An agent that runs as a process of this host, and the other end of its stream."""

    def __init__(self, words: list[str]) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "FROM_AGENT": "yes"}
        with theirs:
            name = f"@{theirs.fileno()}"
            self.process = subprocess.Popen(
                [*words, name],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                preexec_fn=start_badly,
                restore_signals=False,
            )
        self.end = ours
        self.stream = SocketStream(ours)

    def agent(self) -> Agent:
        agent = Agent(self.stream)
        agent.wait_ready(20)
        return agent

    def descriptors(self) -> set[str]:
        return {os.readlink(path) for path in Path(f"/proc/{self.process.pid}/fd").iterdir()}

    def close(self) -> None:
        self.stream.close()
        assert self.process.wait(10) == 0


@pytest.fixture(params=["python", "compiled"])
def running(request: pytest.FixtureRequest, executable: Path) -> Iterator[Running]:
    """The agent, called by CPython, and compiled for the guest."""
    if request.param == "compiled" and EMULATOR is None:
        pytest.skip("qemu-riscv64 is not installed (Debian package qemu-user)")
    python = [sys.executable, "-m", "tests.guest.in_python", "guesthouse.guest.agent.main"]
    running = Running(python if request.param == "python" else [str(EMULATOR), str(executable)])
    try:
        yield running
        running.close()
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def agent(running: Running) -> Agent:
    """A conversation with it."""
    return running.agent()
