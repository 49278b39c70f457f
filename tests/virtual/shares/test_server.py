"""Whatever a guest says, it gets an answer, and nothing else happens."""

import os
import random
import struct
from pathlib import Path

import pytest

from guesthouse.virtual.shares.messages import ERROR, HEAD, LAYOUTS, NUMBERS, RESET, RESET_DONE, encode
from tests.virtual.shares.client import Client

NAMES = [b"a", b"b", b"file", b"link", b"pipe", b"..", b".", b"", b"x/y", b"\xff" * 300, b"user.x", b"n\0n"]
STRANGE = [0, 1, 2, 3, 0o100, 0o1000, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
WIDE = [0, 1, 4096, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def request(dice: random.Random) -> bytes:
    """A request that is well formed, of strange values."""
    name = dice.choice([each for each in NUMBERS if each != "version" or dice.random() < 0.05])
    layout = LAYOUTS[NUMBERS[name]]
    fields: dict[str, object] = {}
    position = 0
    for run in layout.runs:
        if isinstance(run, struct.Struct):
            for letter in run.format[1:]:
                wide = {"B": [0, 1, 2, 3, 255], "H": [0, 9, 65535], "I": STRANGE, "Q": WIDE}[letter]
                field = layout.fields[position]
                is_fid = letter == "I" and field in ("fid", "new", "directory", "old", "auth")
                fields[field] = dice.randrange(12) if is_fid else dice.choice(wide)
                position += 1
        else:
            kind = run.name
            names = [dice.choice(NAMES) for _ in range(dice.randrange(4))]
            fields[layout.fields[position]] = names if kind == "NAMES" else dice.choice(NAMES)
            position += 1
    return encode(name, dice.randrange(9), **fields)


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_strange_requests_are_answered(tmp_path: Path, seed: int, readonly: bool) -> None:
    folder = tmp_path / "share"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (tmp_path / "outside").write_bytes(b"untouched")
    dice = random.Random(seed)
    client = Client(folder, readonly)
    answered = 0
    for _ in range(2000):
        message = bytearray(request(dice))
        if dice.random() < 0.1:
            message[dice.randrange(4, len(message))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.05:
            message = message[: dice.randrange(7, len(message) + 1)]
        _, kind, tag = HEAD.unpack_from(message)
        answer = client.server.answer(memoryview(message))
        size, answer_kind, answer_tag = HEAD.unpack_from(answer)
        assert size == len(answer) <= 512 << 10 and answer_tag == tag
        assert answer_kind in (ERROR, kind + 1)
        answered += answer_kind != ERROR
        if not dice.randrange(10):
            for useful in (
                encode("attach", 1, fid=0, auth=0xFFFF_FFFF, user=b"", tree=b"", uid=0),
                encode("walk", 1, fid=0, new=dice.randrange(1, 12), names=[dice.choice(NAMES[:5])]),
            ):
                client.server.answer(memoryview(useful))
    assert answered > 100, "the fuzz must reach the operations"
    assert [path.name for path in tmp_path.iterdir() if path.name != "share"] == ["outside"]
    assert (tmp_path / "outside").read_bytes() == b"untouched"


@pytest.mark.parametrize("kind", [6, 7, 5, 107, 200, 255, 106])
def test_what_is_no_request_is_refused(tmp_path: Path, kind: int) -> None:
    answer = Client(tmp_path).server.answer(memoryview(HEAD.pack(7, kind, 3)))
    assert HEAD.unpack_from(answer)[1:] == (ERROR, 3)


def test_a_message_larger_than_agreed_is_refused(tmp_path: Path) -> None:
    client = Client(tmp_path)
    fid = client.create("", b"file")
    client.ask("version", size=8192, version=b"9P2000.L")
    client.ask("attach", fid=0, auth=0xFFFF_FFFF, user=b"", tree=b"", uid=0)
    fid = client.open("file", 2)
    client.write(fid, 0, bytes(8192 - 23))
    with pytest.raises(OSError, match="Invalid"):
        client.write(fid, 0, bytes(8192 - 22))


def test_a_reset_ends_the_session(tmp_path: Path) -> None:
    client = Client(tmp_path)
    client.create("", b"file")
    answer = client.server.answer(memoryview(HEAD.pack(7, RESET, 0x1234)))
    assert bytes(answer) == HEAD.pack(7, RESET_DONE, 0x1234)
    with pytest.raises(OSError, match="Bad file"):
        client.ask("getattr", fid=0, mask=0)


def test_many_fids_cost_no_more_descriptors_than_allowed(tmp_path: Path) -> None:
    for index in range(300):
        (tmp_path / f"{index}").mkdir()
        (tmp_path / f"{index}" / "file").write_bytes(str(index).encode())
    client = Client(tmp_path, limit=64)
    before = len(os.listdir("/proc/self/fd"))
    fids = [client.walk(f"{index}/file") for index in range(300)]
    assert len(os.listdir("/proc/self/fd")) < before + 64
    for index, fid in enumerate(fids):
        assert client.getattr(fid).size == len(str(index))
        client.ask("lopen", fid=fid, flags=0)
        assert client.read(fid, 0, 10) == str(index).encode()
        client.clunk(fid)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_file_whose_descriptor_was_closed_and_whose_name_leads_elsewhere_is_stale(tmp_path: Path) -> None:
    for index in range(80):
        (tmp_path / f"{index}").write_bytes(b"")
    client = Client(tmp_path, limit=64)
    fids = [client.walk(f"{index}") for index in range(80)]
    os.rename(tmp_path / "1", tmp_path / "0")
    with pytest.raises(OSError, match="Stale"):
        client.getattr(fids[0])
    with pytest.raises(FileNotFoundError):
        client.getattr(fids[1])
