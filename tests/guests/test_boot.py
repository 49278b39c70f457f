"""Real guests: the image `tiny` boots to its shell, runs commands, and powers off; the same under OpenSBI."""

import re
from pathlib import Path

import pytest

from guesthouse import Machine, Reason, UserError, image

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic")
PROMPT = "# "
TIMEOUT = 200

pytestmark = pytest.mark.boot


@pytest.fixture(scope="module")
def tiny():
    """From the user's store, built when it is missing and the host can reach a mirror."""
    try:
        return image("tiny")
    except UserError as error:
        pytest.skip(f"no image: {error}")


def use_the_shell(machine: Machine) -> None:
    """Come to the shell, look around, and switch off."""
    machine.console.expect("Run /init", timeout=TIMEOUT)
    machine.console.expect(PROMPT, timeout=TIMEOUT)
    machine.console.write("uname -srm; echo $((6 * 7)) is the answer\n")
    found = machine.console.expect(re.compile(r"Linux \S+ riscv64\r?\n42 is the answer\r?\n"), timeout=TIMEOUT)
    assert "deb13" in found
    machine.console.write("grep -c . /proc/cpuinfo; ls -d /proc/self; dmesg | tail -n 1\n")
    machine.console.expect("/proc/self\r\n", timeout=TIMEOUT)
    machine.console.expect(PROMPT, timeout=TIMEOUT)
    machine.console.write("poweroff\n")
    stop = machine.run(timeout=TIMEOUT)
    assert (stop.reason, stop.status) == (Reason.POWER_OFF, 0)


@pytest.mark.parametrize("engine", ["interpreter", "stitcher", "translator", "auto"])
def test_debian_boots_to_its_shell(tiny, engine: str) -> None:
    with Machine(image=tiny, engine=engine) as machine:
        use_the_shell(machine)


@pytest.mark.parametrize("firmware", ["fw_jump.elf", "fw_jump.bin", "fw_dynamic.bin", "fw_dynamic.elf"])
def test_debian_boots_under_opensbi(tiny, firmware: str) -> None:
    if not (OPENSBI / firmware).exists():
        pytest.skip("the package opensbi is not installed")
    with Machine(image=tiny, firmware=OPENSBI / firmware, engine="auto") as machine:
        machine.console.expect("OpenSBI v", timeout=TIMEOUT)
        machine.console.expect("Linux version", timeout=TIMEOUT)
        use_the_shell(machine)


def test_panic_ends_with_its_line(tiny) -> None:
    with Machine(image=tiny, append="init=/nowhere rdinit=/nowhere root=/dev/none", memory="256M") as machine:
        stop = machine.run(timeout=TIMEOUT)
        assert (stop.reason, stop.status) == (Reason.PANIC, 70)
        assert stop.text.startswith("Kernel panic - not syncing: ")


def test_reboot_starts_again(tiny) -> None:
    with Machine(image=tiny) as machine:
        machine.console.expect(PROMPT, timeout=TIMEOUT)
        machine.console.write("reboot\n")
        machine.console.expect("Linux version", timeout=TIMEOUT)
        machine.console.expect(PROMPT, timeout=TIMEOUT)
    with Machine(image=tiny, reboot=False) as machine:
        machine.console.expect(PROMPT, timeout=TIMEOUT)
        machine.console.write("reboot\n")
        assert machine.run(timeout=TIMEOUT).reason is Reason.RESET


def test_input_typed_long_before_the_shell_is_not_lost(tiny) -> None:
    with Machine(image=tiny) as machine:
        machine.console.write("echo early $((40 + 2))\n")
        machine.console.expect("early 42", timeout=TIMEOUT)
