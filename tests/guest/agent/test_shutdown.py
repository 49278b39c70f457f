"""How the agent asks for a shutdown, with a kernel played by the test."""

import pytest

from guesthouse.guest.agent import linux, protocol
from guesthouse.guest.agent.shutdown import shut_down
from tests.guest.in_python import HostSystem


class Exited(Exception):
    pass


class Kernel(HostSystem):
    """One whose first process is as told; remembers what was asked of it."""

    def __init__(self, systemd: bool, first: bytes, programs: set[bytes] = frozenset(), child: bool = True) -> None:
        super().__init__()
        self.systemd, self.first, self.programs, self.child = systemd, first, programs, child
        self.asked: list[object] = []

    def text(self, address: int) -> bytes:
        data = b""
        while byte := self.load8(address + len(data)):
            data += bytes((byte,))
        return data

    def call(self, number: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> int:
        if number == linux.FACCESSAT:
            assert self.text(b) == b"/run/systemd/system"
            return 0 if self.systemd else -linux.ENOENT
        if number == linux.READLINKAT:
            assert self.text(b) == b"/proc/1/exe"
            for index, byte in enumerate(self.first[:d]):
                self.store8(c + index, byte)
            return len(self.first)
        if number == linux.KILL:
            self.asked.append((a, b))
        elif number == linux.CLONE:
            return 0 if self.child else 300
        elif number == linux.EXECVE:
            if self.text(a) not in self.programs:
                return -linux.ENOENT
            self.asked.append(self.text(a))
            raise Exited
        elif number in (linux.SYNC, linux.REBOOT):
            self.asked.append((number, c))
        elif number == linux.EXIT_GROUP:
            raise Exited
        return 0


def asked(kernel: Kernel, mode: int) -> list[object]:
    try:
        shut_down(kernel, mode)
    except Exited:
        kernel.asked.append("exited")
    return kernel.asked


OFF, AGAIN = protocol.POWER_OFF, protocol.REBOOT


@pytest.mark.parametrize(("mode", "signal"), [(OFF, 38), (AGAIN, 39)])
def test_systemd_is_asked_by_its_signals(mode: int, signal: int) -> None:
    assert asked(Kernel(True, b"/usr/lib/systemd/systemd"), mode) == [(1, signal)]


@pytest.mark.parametrize(("mode", "signal"), [(OFF, 12), (AGAIN, 15)])
@pytest.mark.parametrize("path", [b"/bin/busybox", b"/usr/bin/busybox"])
def test_busybox_is_asked_by_its_signals(path: bytes, mode: int, signal: int) -> None:
    assert asked(Kernel(False, path), mode) == [(1, signal)]


def test_any_other_is_asked_by_the_usual_command() -> None:
    programs = {b"/sbin/poweroff", b"/sbin/reboot"}
    assert asked(Kernel(False, b"/sbin/init", programs), OFF) == [b"/sbin/poweroff", "exited"]
    assert asked(Kernel(False, b"/sbin/notbusybox", programs), AGAIN) == [b"/sbin/reboot", "exited"]
    assert asked(Kernel(False, b"/sbin/init", programs, child=False), OFF) == []  # the agent itself goes on


def test_where_there_is_no_command_the_kernel_is_asked() -> None:
    off = [(linux.SYNC, 0), (linux.REBOOT, linux.REBOOT_POWER_OFF), "exited"]
    assert asked(Kernel(False, b"/init"), OFF) == off
    assert asked(Kernel(False, b"/init"), AGAIN)[1] == (linux.REBOOT, linux.REBOOT_RESTART)
