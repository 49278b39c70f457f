"""A real Linux on the PCI bus: twelve disks, a command over ports, removal, a snapshot, firmware."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import guesthouse
from guesthouse import Machine, Reason
from tests.cli.programs import call

pytestmark = [pytest.mark.boot, pytest.mark.slow]

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf")
PROMPT = ":~# "
MIB = 1 << 20
LETTERS = "abcdefghijkl"
TIMEOUT = 150
SUM = re.compile(r"(?m)^([0-9a-f]{64})  ")


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{letter}.img" for letter in LETTERS]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(4 * MIB)
    return paths


@pytest.fixture(params=[1, 2])
def machine(request: pytest.FixtureRequest, disks: list[Path]) -> Iterator[Machine]:
    with Machine(image=guesthouse.image("tiny"), cpus=request.param, disks=disks, bus="pci") as machine:
        machine.console.expect(PROMPT, timeout=TIMEOUT)
        shell(machine, "cd /tmp; dd if=/dev/urandom of=a bs=1M count=4")
        yield machine


def shell(machine: Machine, command: str) -> str:
    machine.console.write(f"{command}; echo END''ED\n")
    return machine.console.expect("ENDED\r\n", timeout=TIMEOUT)


def sums(machine: Machine, letters: str) -> set[str]:
    """Sums of the file and of disks, read anew."""
    command = f"echo 3 > /proc/sys/vm/drop_caches; for d in {' '.join(letters)}; do sha256sum < /dev/vd$d; done"
    found = SUM.findall(shell(machine, f"sha256sum < a; {command}"))
    assert len(found) == 1 + len(letters)
    return set(found)


def test_twelve_disks_are_written_and_come_and_go(machine: Machine) -> None:
    found = shell(machine, "cd /sys/bus/pci/devices; cat */vendor */device | sort | uniq -c; cd /tmp")
    assert re.search(r" 13 0x1af4\r", found) and re.search(r" 12 0x1042\r", found) and re.search(r" 1 0x1044\r", found)
    shell(machine, f"for d in {' '.join(LETTERS)}; do dd if=a of=/dev/vd$d bs=64k conv=fsync & done; wait")
    assert len(sums(machine, LETTERS)) == 1

    devices = "/sys/bus/pci/devices/0000:00"
    shell(machine, f"echo 1 > {devices}:03.0/remove")
    assert "No such file" in shell(machine, "ls /dev/vdc")
    shell(machine, "echo 1 > /sys/bus/pci/rescan; sleep 0.3")
    shell(machine, "cd /sys/bus/pci/drivers/virtio-pci; echo 0000:00:04.0 > unbind")
    assert "No such file" in shell(machine, "ls /dev/vdd")
    shell(machine, "echo 0000:00:04.0 > bind; cd /tmp; sleep 0.3")
    assert len(sums(machine, LETTERS)) == 1
    lines = [line for line in shell(machine, "cat /proc/interrupts").splitlines() if "virtio" in line]
    assert {line.split("PLIC")[1].split()[0] for line in lines} == {"32", "33", "34", "35"}


def test_saved_in_the_middle_of_requests_it_goes_on_and_reboots(machine: Machine) -> None:
    machine.console.write("for d in a b c d; do dd if=a of=/dev/vd$d bs=4k conv=fsync & done; wait; echo WRIT''TEN\n")
    machine.console.expect("\n", timeout=TIMEOUT)
    machine.run(timeout=0.05)
    assert "WRITTEN" not in machine.console.output
    saved = machine.save()
    machine.close()
    with Machine.load(saved) as other:
        other.console.expect("WRITTEN\r\n", timeout=TIMEOUT)
        assert len(sums(other, "abcd")) == 1
        other.console.write("reboot\n")
        other.console.expect("Linux version", timeout=TIMEOUT)
        other.console.expect(PROMPT, timeout=TIMEOUT)
        assert "/dev/vdl" in shell(other, "ls /dev/vd*")
        other.console.write("poweroff\n")
        assert other.run(timeout=TIMEOUT).reason is Reason.POWER_OFF


def test_a_command_runs_over_ports_on_the_bus(disks: list[Path]) -> None:
    given = [word for path in disks for word in ("--disk", path)]
    script = "cat; cat /sys/class/virtio-ports/*/name; for d in /dev/vd?; do echo $d > $d; done; sync"
    result = call(
        *map(str, ["run", "tiny", "--bus", "pci", "--cpus", 2, "--timeout", 100, *given, "--", "sh", "-c", script]),
        input=b"given\n", timeout=TIMEOUT,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"given\n") and b"guesthouse.agent" in result.stdout
    heads = [path.read_bytes()[:9] for path in disks]
    assert heads == [f"/dev/vd{letter}\n".encode() for letter in LETTERS]


def test_firmware_and_sixteen_gibibytes_leave_the_bus_its_place(disks: list[Path]) -> None:
    if not OPENSBI.exists():
        pytest.skip("the package opensbi is not installed")
    options = {"firmware": OPENSBI, "memory": "16G", "append": "memtest=0 init_on_alloc=0"}
    with Machine(image=guesthouse.image("tiny"), disks=disks[:1], bus="pci", **options) as machine:
        machine.console.expect("OpenSBI v", timeout=TIMEOUT)
        machine.console.expect(PROMPT, timeout=TIMEOUT)
        assert "0x0000000800000000" in shell(machine, "cat /sys/bus/pci/devices/0000:00:01.0/resource")
        assert "1+0 records out" in shell(machine, "dd if=/dev/urandom of=/dev/vda bs=1M count=1 conv=fsync")
    assert any(disks[0].read_bytes())
