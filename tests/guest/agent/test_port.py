"""How the agent finds its port."""

import pytest

from guesthouse.guest.agent import linux, port
from guesthouse.guest.agent.unit import ENABLED, EXECUTABLE, UNIT, UNIT_TEXT
from tests.guest.in_python import HostSystem


class Files(HostSystem):
    """A kernel with a few files; entries of the folder come two at a time."""

    def __init__(self, names: dict[bytes, bytes]) -> None:
        super().__init__()
        self.names = names
        self.listed = 0
        self.open: dict[int, bytes] = {}

    def text(self, address: int) -> bytes:
        data = b""
        while byte := self.load8(address + len(data)):
            data += bytes((byte,))
        return data

    def put(self, address: int, data: bytes) -> int:
        for index, byte in enumerate(data):
            self.store8(address + index, byte)
        return len(data)

    def call(self, number: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> int:
        if number == linux.OPENAT:
            path = self.text(b)
            folder = b"/sys/class/virtio-ports/"
            known = {folder} | {folder + name + b"/name" for name in self.names if name.startswith(b"vport")}
            if path in known or path.startswith(b"/dev/vport") or path == b"/dev/given":
                self.open[100 + len(self.open)] = path
                return 99 + len(self.open)
            return -linux.ENOENT
        if number == linux.GETDENTS64:
            part = [b".", b"..", *self.names][self.listed : self.listed + 2]
            self.listed += 2
            data = b""
            for name in part:
                size = (19 + len(name) + 8) // 8 * 8
                data += (bytes(16) + size.to_bytes(2, "little") + b"\0" + name).ljust(size, b"\0")
            return self.put(b, data)
        if number == linux.READ:
            return self.put(b, self.names[self.open[a].split(b"/")[-2]])
        return 0


def opened(files: Files, name: bytes) -> bytes | int:
    found = port.open_port(files, files.at(name))
    return files.open.get(found, found)


def test_it_is_found_by_its_name_whatever_its_number() -> None:
    names = {b"vport1p0": b"\n", b"vport1p1": b"guesthouse.agent2\n", b"other": b"", b"vport2p9": b"guesthouse.agent\n"}
    assert opened(Files(names), b"guesthouse.agent") == b"/dev/vport2p9"
    assert opened(Files({b"vport0p1": b"guesthouse.agent"}), b"guesthouse.agent") == b"/dev/vport0p1"
    assert opened(Files({b"vport0p1": b"guest\n"}), b"guesthouse.agent") == -linux.ENOENT
    assert opened(Files({}), b"guesthouse.agent") == -linux.ENOENT


@pytest.mark.parametrize("long", [65, 200, 255])
def test_a_name_that_is_too_long_is_none(long: int) -> None:
    assert opened(Files({b"v" * long: b"guesthouse.agent\n"}), b"guesthouse.agent") == -linux.ENOENT


def test_a_path_and_a_descriptor_can_be_named() -> None:
    assert opened(Files({}), b"/dev/given") == b"/dev/given"
    assert opened(Files({}), b"@17") == 17


def test_the_unit_runs_the_executable_where_it_is_installed() -> None:
    assert f"\nExecStart={EXECUTABLE}\n" in UNIT_TEXT and UNIT.rpartition("/")[2] == ENABLED.rpartition("/")[2]
    assert UNIT_TEXT.count("[Service]") == UNIT_TEXT.count("[Install]") == 1 and "=69\n" in UNIT_TEXT
