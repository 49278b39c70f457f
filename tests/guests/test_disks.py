"""A real Linux and its disks: a full host, a new size, a queue for each processor."""

import errno
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import guesthouse
from guesthouse import Machine
from guesthouse.virtual.storage.images import open_image
from tests.cli.programs import call

pytestmark = pytest.mark.boot

PROMPT = ":~# "
MIB = 1 << 20


class FullForAWhile:
    """An image on a host that has no room left for a second, from the fourth write on."""

    readonly = False

    def __init__(self, path: Path) -> None:
        self.image = open_image(str(path))
        self.writes = 0
        self.until = 0.0

    @property
    def size(self) -> int:
        return self.image.size

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> None:
        self.image.readv(offset, buffers)

    def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
        self.writes += 1
        if self.writes == 4:
            self.until = time.monotonic() + 1
        if time.monotonic() < self.until:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.image.writev(offset, buffers)

    def write_zeroes(self, offset: int, length: int, unmap: bool) -> None:
        self.image.write_zeroes(offset, length, unmap)

    def discard(self, offset: int, length: int) -> None:
        self.image.discard(offset, length)

    def flush(self) -> None:
        self.image.flush()


@pytest.fixture
def disk(tmp_path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    return path


def shell(machine: Machine, command: str) -> str:
    machine.console.write(f"{command}; echo END''ED\n")
    return machine.console.expect("ENDED\r\n")


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_full_host_holds_guest_and_time_and_nothing_is_lost(disk: Path, cpus: int) -> None:
    notices: list[str] = []
    with Machine(image=guesthouse.image("tiny"), cpus=cpus, disks=[FullForAWhile(disk)]) as machine:
        machine.on_notice(notices.append)
        machine.console.expect(PROMPT)
        began = time.monotonic()
        shell(machine, "cd /tmp; dd if=/dev/urandom of=a bs=1M count=8")
        text = shell(machine, "cat /proc/uptime; dd if=a of=/dev/vda bs=64k; sync; cat /proc/uptime")
        shell(machine, "echo 3 > /proc/sys/vm/drop_caches")
        sums = shell(machine, "sha256sum < a; dd if=/dev/vda bs=1M count=8 | sha256sum")
        took = time.monotonic() - began
    assert len(notices) == 2 and "no room" in notices[0]
    first, second = [line for line in sums.splitlines() if line.endswith("  -")]
    assert first == second
    before, after = (float(found) for found in re.findall(r"(?m)^([0-9.]+) [0-9.]+\r$", text))
    assert took > 1 and after - before < took - 0.8, "the guest's time stood still"


def test_what_a_guest_wrote_is_in_its_image_when_it_is_off(tmp_path: Path) -> None:
    """No program flushes here: the data is whole because the machine is switched off in order."""
    path = tmp_path / "disk.qcow2"
    assert call("disk", "create", "-f", "qcow2", str(path), "64M").returncode == 0
    write = (
        "dd if=/dev/urandom of=/tmp/a bs=1M count=8; dd if=/tmp/a of=/dev/vda bs=64k seek=100; sync; sha256sum </tmp/a"
    )
    written = call("run", "tiny", "--disk", str(path), "--", "sh", "-c", write)
    read = call(
        "run",
        "tiny",
        "--disk",
        f"{path},readonly",
        "--",
        "sh",
        "-c",
        "dd if=/dev/vda bs=64k skip=100 count=128 | sha256sum",
    )
    assert written.returncode == read.returncode == 0 and written.stdout == read.stdout
    assert call("disk", "check", str(path)).returncode == 0


def test_a_new_size_reaches_the_guest(disk: Path) -> None:
    with Machine(image=guesthouse.image("tiny"), cpus=2, disks=[disk]) as machine:
        machine.console.expect(PROMPT)
        assert "65536" in shell(machine, "cat /sys/block/vda/size")
        assert "\n2\r\n" in shell(machine, "ls /sys/block/vda/mq | wc -l"), "a queue for each processor"
        machine.resize_disk(0, 48 * MIB)
        assert "98304" in shell(machine, "sleep 0.2; cat /sys/block/vda/size")
        assert "1+0 records out" in shell(machine, "dd if=/dev/zero of=/dev/vda bs=1M seek=47 count=1")
    assert disk.stat().st_size == 48 * MIB
