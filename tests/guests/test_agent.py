"""The agent in a real guest: image tiny, in this process."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse import AgentPort, Machine, Reason, image
from guesthouse.manager.agent.command import Size
from guesthouse.manager.agent.machine_port import MachineAgent

COMMAND = "guesthouse.command=1 quiet"
MKFS = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")

pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A disk with an empty file system."""
    if MKFS is None:
        return None
    path = tmp_path_factory.mktemp("disk") / "disk"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run([MKFS, "-q", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def saved(disk: Path | None) -> bytes:
    """A guest whose agent has just answered."""
    port = AgentPort()
    disks = [disk] if disk else []
    with Machine(image=image("tiny"), append=COMMAND, ports=port.ports, disks=disks) as machine:
        assert port.agent(machine).wait_ready(100).version == 1
        return machine.save()


@pytest.fixture
def guest(saved: bytes) -> Iterator[MachineAgent]:
    """The agent of that guest, which goes on from there."""
    port = AgentPort()
    with Machine.load(saved, ports=port.ports) as machine:
        yield port.agent(machine, fresh=False)


def test_commands_run_in_the_guest(guest: MachineAgent) -> None:
    result = guest.run(["sh", "-c", "cat; uname -m; pwd; id -un; echo $HOME >&2; exit 5"], input=b"in\n", timeout=60)
    assert (result.status, result.stdout, result.stderr) == (5, b"in\nriscv64\n/root\nroot\n", b"/root\n")
    assert guest.run(["no-such-program"], timeout=60).status == 127
    processes = [guest.start(["sh", "-c", f"cat; exit {i}"]) for i in range(50)]
    for i, process in enumerate(processes):
        process.write(b"%d" % i)
        process.command.end_input()
    assert [(p.wait(60).status, p.wait(60).stdout) for p in processes] == [(i, b"%d" % i) for i in range(50)]


def test_a_hundred_megabytes_go_through_whole(guest: MachineAgent) -> None:
    data = os.urandom(100 << 20)
    result = guest.run(["cat"], input=data, timeout=250)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_signals_and_terminals_are_the_guests(guest: MachineAgent) -> None:
    process = guest.start(["sh", "-c", "trap 'echo caught; exit 9' INT; echo up; sleep 100 & wait"])
    assert guest.wait_for(lambda: process.collected > 2, 60)
    process.command.signal(2)
    assert process.wait(60).status == 9
    process = guest.start(["sh", "-c", "stty size; tty; cat"], terminal=Size(132, 43))
    process.write(b"typed\n")
    process.command.end_input()
    lines = process.wait(60).stdout.split(b"\r\n")
    assert b"43 132" in lines and b"/dev/pts/0" in lines and lines.count(b"typed") == 2  # its echo, and cat's


def test_files_go_both_ways(guest: MachineAgent, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir(mode=0o750)
    (source / "program").write_bytes(b"#!/bin/sh\necho it runs\n")
    (source / "program").chmod(0o755)
    (source / "link").symlink_to("program")
    guest.copy_in(str(source), "/tmp/there")
    assert guest.run(["/tmp/there/link"], timeout=60).stdout == b"it runs\n"
    guest.run(["sh", "-c", "cd /tmp/there; mkdir inner; seq 100000 >inner/numbers"], timeout=60)
    copied = guest.copy_out("/tmp/there", str(tmp_path / "back"))
    assert (copied.files, copied.folders, copied.links) == (2, 2, 1)
    assert (tmp_path / "back" / "inner" / "numbers").read_text().split() == [str(i + 1) for i in range(100_000)]
    assert (tmp_path / "back" / "program").stat().st_mode == (source / "program").stat().st_mode


def test_the_clock_can_be_set(guest: MachineAgent) -> None:
    guest.set_clock(1_000_000_000 * 10**9)
    assert 0 <= int(guest.run(["date", "+%s"], timeout=60).stdout) - 1_000_000_000 < 60


@pytest.mark.skipif(MKFS is None, reason="mkfs.ext4 is not installed (Debian package e2fsprogs)")
def test_frozen_file_systems_hold_writers_up_until_they_are_thawed(guest: MachineAgent) -> None:
    assert guest.run(["sh", "-c", "mkdir /data; mount /dev/vda /data; echo 1 >/data/file"], timeout=60).status == 0
    assert guest.freeze() == [b"/data"]
    writer = guest.start(["sh", "-c", "echo 2 >/data/file"])
    assert not guest.wait_for(lambda: writer.command.finished, 1)
    assert guest.run(["cat", "/data/file"], timeout=60).stdout == b"1\n"
    guest.thaw()
    assert writer.wait(60).status == 0
    assert guest.run(["cat", "/data/file"], timeout=60).stdout == b"2\n"


@pytest.mark.parametrize("reboot", [False, True])
def test_a_shutdown_is_clean(saved: bytes, reboot: bool) -> None:
    port = AgentPort()
    with Machine.load(saved, ports=port.ports) as machine:
        agent = port.agent(machine, fresh=False)
        first = agent.wait_ready(60).boot_id
        agent.shutdown(reboot=reboot)
        began = time.monotonic()
        if reboot:
            assert agent.wait_for(lambda: False, 100)
            assert "started again" in agent.session.problem
            assert port.agent(machine).wait_ready(60).boot_id != first
        else:
            assert machine.run(timeout=60).reason is Reason.POWER_OFF
            assert time.monotonic() - began < 30


def test_a_host_that_leaves_and_comes_again_finds_it(saved: bytes) -> None:
    port = AgentPort()
    with Machine.load(saved, ports=port.ports) as machine:
        agent = port.agent(machine, fresh=False)
        agent.start(["sleep", "765432"])
        agent.ping()
        end = next(end for end in machine._core._ports() if end.name == "guesthouse.agent")
        machine.post(end.disconnect)
        assert not agent.wait_for(lambda: False, 1)
        machine.post(end.connect)
        assert agent.wait_for(lambda: False, 60)  # its mark ends the conversation
        assert "started again" in agent.session.problem
        again = port.agent(machine)
        assert again.run(["echo", "again"], timeout=60).stdout == b"again\n"
        assert b"765432" not in again.run(["ps", "-o", "args"], timeout=60).stdout
