"""The machine's end of a shared folder, with the real process that serves it."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guesthouse.errors import UserError
from guesthouse.guest.definition import Definition, File, Share, check
from guesthouse.virtual.devices.virtio.ninep import VirtioNinep
from guesthouse.virtual.machine.machine import Machine
from guesthouse.virtual.machine.shares import ShareLink
from guesthouse.virtual.shares.messages import HEAD, NO_FID, encode
from tests.virtual.devices.virtio.driver import Driver


class Inbox:
    """Posted calls, done when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.expected = 0

    def post(self, call: Callable[[], Any]) -> None:
        self.calls.append(call)

    def serve(self) -> None:
        while self.calls:
            self.calls.pop(0)()


class Guest:
    """A driver with a share, asking as a guest would."""

    def __init__(self, share: Share, wait: bool = False) -> None:
        self.inbox = Inbox()
        self.link = ShareLink(share)
        self.link.connect(self.inbox, wait)  # type: ignore[arg-type]
        self.driver = Driver(VirtioNinep(self.link), features=1, indirect=True)

    def ask(self, request: str, /, **fields: Any) -> bytes:
        self.driver.free = self.driver.area(0, 0x10000)
        self.driver.add(0, [encode(request, 1, **fields)], [4096])
        self.driver.kick(0)
        return self.answer()

    def answer(self) -> bytes:
        until = time.monotonic() + 20
        while not (done := self.driver.take(0)):
            assert time.monotonic() < until
            self.inbox.serve()
            time.sleep(0.001)
        return done[2][: done[1]]

    def mount(self) -> None:
        assert self.ask("version", size=8192, version=b"9P2000.L")[4] == 101
        assert self.ask("attach", fid=0, auth=NO_FID, user=b"", tree=b"", uid=0)[4] == 105


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    (tmp_path / "file").write_bytes(b"content")
    guest = Guest(Share(folder=str(tmp_path), tag="data"))
    yield guest
    guest.link.close()


def read_file(guest: Guest) -> bytes:
    assert guest.ask("walk", fid=0, new=1, names=[b"file"])[4] == 111
    assert guest.ask("lopen", fid=1, flags=0)[4] == 13
    return guest.ask("read", fid=1, offset=0, count=100)[11:]


def test_a_file_is_read_through_all_of_it(guest: Guest) -> None:
    guest.mount()
    assert read_file(guest) == b"content"


def test_the_machine_knows_what_is_still_to_come(guest: Guest) -> None:
    guest.link._patience = 0.0
    guest.driver.add(0, [encode("version", 1, size=8192, version=b"9P2000.L")], [100])
    guest.driver.kick(0)
    if guest.driver.device.read(0x60, 4) == 0:  # as good as always: the process has only been started
        assert guest.inbox.expected == 1
    assert guest.answer()[4] == 101
    assert guest.inbox.expected == 0


def test_where_time_is_counted_every_answer_is_waited_for(tmp_path: Path) -> None:
    guest = Guest(Share(folder=str(tmp_path), tag="data"), wait=True)
    for request, fields in (
        ("version", {"size": 8192, "version": b"9P2000.L"}),
        ("attach", {"fid": 0, "auth": NO_FID, "user": b"", "tree": b"", "uid": 0}),
    ):
        guest.driver.add(0, [encode(request, 1, **fields)], [100])
        guest.driver.kick(0)
        assert guest.driver.take(0) is not None and not guest.inbox.calls
    guest.link.close()


def test_a_reset_ends_what_the_guest_had_opened(guest: Guest) -> None:
    guest.mount()
    read_file(guest)
    # One more request under way while the guest resets its device; its answer must not reach the next driver.
    guest.link._patience = 0.0
    guest.driver.add(0, [encode("read", 1, fid=1, offset=0, count=100)], [200])
    guest.driver.kick(0)
    guest.driver = Driver(guest.driver.device.function, features=1, indirect=True)
    body = guest.ask("getattr", fid=0, mask=0)
    assert HEAD.unpack_from(body)[1] == 7 and struct.unpack_from("<I", body, 7) == (9,), "bad file descriptor"
    guest.mount()
    assert read_file(guest) == b"content"


def test_many_resets_leave_nothing_behind(guest: Guest) -> None:
    for _ in range(300):
        guest.driver.device.write(0x70, 4, 0)
    assert len(guest.link._companion._left) < 100
    guest.driver = Driver(guest.driver.device.function, features=1, indirect=True)
    guest.mount()


def test_a_process_that_dies_fails_the_share_and_nothing_else(guest: Guest) -> None:
    guest.mount()
    guest.link._companion._process.kill()
    guest.link._companion._process.wait(10)
    body = guest.ask("getattr", fid=0, mask=0)
    assert struct.unpack_from("<I", body, 7) == (5,), "an I/O error"
    assert guest.ask("getattr", fid=0, mask=0) == body
    guest.driver.device.write(0x70, 4, 0)
    assert guest.inbox.expected == 0


def test_the_process_can_reach_nothing_but_the_folder(guest: Guest, tmp_path: Path) -> None:
    guest.mount()
    process = guest.link._companion._process
    pid = getattr(process, "pid", None) or process._pid  # type: ignore[attr-defined]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status
    opened = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    opened = {target for target in opened if not target.startswith("socket:")}
    assert opened == {"/dev/null", os.readlink("/proc/self/fd/2"), f"/proc/{pid}/fd", str(tmp_path)}


def test_it_ends_with_the_machine(tmp_path: Path) -> None:
    machine = Machine(firmware=bytes.fromhex("6f000000"), shares=[Share(folder=str(tmp_path), tag="data")])
    link = machine._core._shares[0]
    assert "virtio-9p" in [slot.kind for slot in machine._core.board.slots]
    with pytest.raises(UserError, match="shared folders can't be saved"):
        machine.save()
    machine.close()
    assert link._companion._process.wait(5) == 0


def test_a_machine_that_can_t_be_leaves_no_process(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    share = Share(folder=str(tmp_path), tag="data")
    for wrong in ({"disks": [tmp_path / "none"]}, {"shares": [share, Share(folder=str(tmp_path / "none"), tag="x")]}):
        with pytest.raises(UserError):
            Machine(**{"firmware": bytes.fromhex("6f000000"), "shares": [share]} | wrong)
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_can_t_be_shared_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Can't share the folder .*none"):
        Machine(firmware=bytes.fromhex("6f000000"), shares=[Share(folder=str(tmp_path / "none"), tag="data")])


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ([Share(folder="/", tag="")], "tag has 1 to 31 bytes"),
        ([Share(folder="/", tag="x" * 32)], "tag has 1 to 31 bytes"),
        ([Share(folder="/", tag="a\0")], "tag has 1 to 31 bytes"),
        ([Share(folder="/", tag="a"), Share(folder="/tmp", tag="a")], "Two shared folders have the tag 'a'"),
        ([Share(folder="/", tag="a", uid=-1)], "User and group"),
        ([Share(folder="/", tag="a", gid=1 << 32)], "User and group"),
    ],
)
def test_shares_that_can_t_be_are_refused_in_a_sentence(shares: list[Share], text: str) -> None:
    with pytest.raises(UserError, match=text):
        check(Definition(kernel=File(path="k"), shares=tuple(shares)))
