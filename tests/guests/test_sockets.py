"""Virtio sockets of a real guest, with programs of the host on the other side."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import guesthouse
from guesthouse import Machine
from guesthouse.guest import cpio
from tests.cli.programs import ENVIRONMENT, PROGRAM

COMPILER = shutil.which("riscv64-linux-gnu-gcc")
pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
    pytest.mark.skipif(not COMPILER, reason="no riscv64-linux-gnu-gcc: apt-get install gcc-riscv64-linux-gnu"),
]
MOUNT = "mkdir /mnt/d && mount -t 9p -o trans=virtio,version=9p2000.L data /mnt/d && cd /mnt/d || exit 99\n"
LARGE = 20_000_000


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program that the guest runs."""
    folder = tmp_path_factory.mktemp("tool")
    source = Path(__file__).parent / "sockets/vsock.c"
    subprocess.run([COMPILER or "", "-O2", "-static", "-o", str(folder / "vsock"), str(source)], check=True)
    return folder


@contextmanager
def guest(tool: Path, path: Path, script: str, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A guest that runs a script and has its socket at `path`."""
    words = ["run", "tiny", "--vsock", str(path), "--share", f"{tool}:data:ro", *more, "--timeout", "100"]
    command = [*PROGRAM, *words, "--", "sh", "-c", MOUNT + script]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=ENVIRONMENT, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
            assert process.wait(100) == 0, process.stderr.read()
        finally:
            process.kill()
    assert not path.exists(), "the socket goes with the guest"


def connected(path: Path, port: int) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(60)
    end.connect(str(path))
    end.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        byte = end.recv(1)
        assert byte, "refused"
        line += byte
    assert line.startswith(b"OK ")
    return end


def everything(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def echoed(path: Path, data: bytes) -> bytes:
    """What the guest sends back of this."""
    with connected(path, 5000) as end:

        def send() -> None:
            end.sendall(data)
            end.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        found = everything(end)
        thread.join()
        return found


def listening(path: Path, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(60)
    listener.bind(f"{path}_{port}")
    listener.listen()
    return listener


@pytest.mark.parametrize("more", [(), ("--cpus", "2", "--bus", "pci")])
def test_programs_reach_the_guest_many_at_once(tool: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    path = tmp_path / "s"
    with guest(tool, path, "./vsock echo 5000 12", *more) as process:
        assert process.stdout.readline() == b"listening\n"
        data = os.urandom(LARGE)
        assert echoed(path, data) == data
        found: list[bool] = []

        def one(number: int) -> None:
            data = os.urandom(50_000 * number)
            found.append(echoed(path, data) == data)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 10
        with pytest.raises(AssertionError, match="refused"):
            connected(path, 5001)
        with connected(path, 5000) as end:
            end.sendall(b"x")
            assert end.recv(10) == b"x"


def test_the_guest_reaches_programs(tool: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    script = "head -c 3000000 /dev/urandom >/tmp/data; sha256sum </tmp/data; ./vsock connect 80 </tmp/data | sha256sum"
    script += "; ./vsock try 81; true"
    listener = listening(path, 80)

    def serve() -> None:
        end, _ = listener.accept()
        end.settimeout(60)
        end.sendall(everything(end))
        end.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with guest(tool, path, script) as process:
        first, second, third = process.stdout.read().splitlines()
        assert first == second and third == b"Connection reset by peer"
    thread.join()
    listener.close()


def test_ends_are_seen_on_both_sides(tool: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    script = "./vsock wait 80; ./vsock close 5000; ./vsock late 5001"
    with listening(path, 80) as listener, guest(tool, path, script) as process:
        end, _ = listener.accept()
        assert process.stdout.readline() == b"connected\n"
        end.close()
        assert process.stdout.readline() == b"end\n" and process.stdout.readline() == b"listening\n"
        with connected(path, 5000) as end:
            end.sendall(b"never read")
            assert everything(end) == b""
        assert process.stdout.readline() == b"listening\n"
        with connected(path, 5001) as end:
            began = time.monotonic()
            end.sendall(bytes(5_000_000))
            assert time.monotonic() - began > 0.5, "it waits until the guest reads"
        assert process.stdout.readline() == b"5000000\n"


def test_behind_a_restore_connections_are_over_and_new_ones_are_taken(tool: Path, tmp_path: Path) -> None:
    image = guesthouse.image("tiny")
    program = cpio.pack([cpio.file("vsock", (tool / "vsock").read_bytes(), 0o755)])
    initrd = image.initrd.read_bytes() + program
    before, behind = tmp_path / "before", tmp_path / "behind"
    with Machine(kernel=image.kernel, initrd=initrd, vsock=before, memory="256M") as machine, listening(before, 80):
        assert machine.run(timeout=60, until=":~# ").text
        machine.console.write("/vsock wait 80\n")
        assert machine.run(timeout=60, until="connected").text
        saved = machine.save()
    with Machine.load(saved, vsock=behind) as machine, listening(behind, 80) as listener:
        over = re.compile("Connection reset by peer|Transport endpoint is not connected")  # as it had begun to read
        assert machine.run(timeout=60, until=over).text
        machine.console.write("/vsock wait 80\n")
        assert machine.run(timeout=60, until="connected").text
        listener.accept()[0].close()
        assert machine.run(timeout=60, until="end").text
