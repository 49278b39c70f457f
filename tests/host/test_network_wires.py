"""Packets through sockets and taps, as a confined process sends and takes them."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guesthouse.errors import UserError
from guesthouse.host.network_wires import LONGEST_FRAME, PLAIN, PacketWire, StreamWire, Wire, open_stream, open_tap

FRAME = bytes(range(60))


def parts(frame: bytes) -> list[memoryview]:
    return [memoryview(PLAIN), memoryview(frame[:7]), memoryview(frame[7:])]


def soon(wire: Wire) -> bytes | None:
    """What comes within a second."""
    for _ in range(1000):
        if (packet := wire.receive()) is not None:
            return bytes(packet)
        time.sleep(0.001)
    return None


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "net")


@pytest.fixture
def stream() -> Iterator[tuple[StreamWire, socket.socket]]:
    ours, theirs = socket.socketpair()
    wire = StreamWire(ours)
    with theirs:
        yield wire, theirs
    wire.close()


def test_each_message_of_a_packet_socket_is_a_packet() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wire = PacketWire(ours.detach())
    assert wire.receive() is None and wire.up
    assert wire.send(parts(FRAME)) and theirs.recv(100) == PLAIN + FRAME
    theirs.send(b"one")
    theirs.send(b"two")
    assert [bytes(wire.receive() or b"") for _ in range(2)] == [b"one", b"two"]
    many = [memoryview(b"x")] * 3000
    assert wire.send(many) and len(theirs.recv(5000)) == 3000
    while wire.send(parts(bytes(60_000))):
        pass
    theirs.recv(1 << 17)
    assert wire.send(parts(bytes(60_000))), "there is room again"
    theirs.close()
    assert wire.send(parts(FRAME)) and wire.ended and not wire.up
    wire.close()


def test_a_stream_has_lengths_before_its_frames(stream: tuple[StreamWire, socket.socket]) -> None:
    wire, theirs = stream
    assert wire.send(parts(FRAME))
    assert theirs.recv(100) == struct.pack(">I", 60) + FRAME
    sent = b"".join(struct.pack(">I", 20 + n) + bytes([n]) * (20 + n) for n in range(50))
    for start in range(0, len(sent), 33):  # cut anywhere
        theirs.send(sent[start : start + 33])
    assert [soon(wire) for _ in range(50)] == [PLAIN + bytes([n]) * (20 + n) for n in range(50)]
    assert wire.receive() is None


def test_a_stream_carries_megabytes_of_long_frames(stream: tuple[StreamWire, socket.socket]) -> None:
    wire, theirs = stream
    theirs.setblocking(False)
    frames = [os.urandom(1 + n * 4001 % LONGEST_FRAME) for n in range(200)]
    waiting = b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
    got = []
    while len(got) < len(frames):
        if waiting:
            with contextlib.suppress(BlockingIOError):
                waiting = waiting[theirs.send(waiting) :]
        packet = wire.receive()
        if packet is not None:
            got.append(bytes(packet[12:]))
    assert got == frames


def test_a_full_stream_keeps_the_rest_of_a_frame_and_takes_no_other(stream: tuple[StreamWire, socket.socket]) -> None:
    wire, theirs = stream
    sent = 0
    while wire.send(parts(bytes([sent]) * 50_000)):
        sent += 1
    got = bytearray()
    theirs.setblocking(False)
    for _ in range(sent * 100):
        try:
            got += theirs.recv(1 << 16)
        except BlockingIOError:
            break
        wire.push()
    assert not wire.clogged
    assert got == b"".join(struct.pack(">I", 50_000) + bytes([n]) * 50_000 for n in range(sent))


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", struct.pack(">I", LONGEST_FRAME + 1)])
def test_a_peer_that_sends_impossible_frames_is_left(stream: tuple[StreamWire, socket.socket], data: bytes) -> None:
    wire, theirs = stream
    theirs.send(struct.pack(">I", 0) + struct.pack(">I", 20) + bytes(20) + data + bytes(100))
    assert soon(wire) == PLAIN + bytes(20)
    assert wire.receive() is None and wire.ended and not wire.up
    assert wire.send(parts(FRAME)), "swallowed"


def test_who_comes_first_listens_and_takes_one_peer_after_the_other(path: str) -> None:
    first = open_stream(path)
    assert first.listens and not first.up and not first.ended
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert first.send(parts(FRAME)), "nobody hears it"
    for turn in range(3):
        second = open_stream(path)
        assert not second.listens and second.up
        watched = first.descriptor
        assert second.send(parts(FRAME + bytes([turn])))
        assert soon(first) == PLAIN + FRAME + bytes([turn])
        assert first.up and first.descriptor != watched
        assert first.send(parts(FRAME)) and soon(second) == PLAIN + FRAME
        second.close()
        assert first.receive() is None
        assert not first.up and not first.ended and first.descriptor == watched
    first.close()
    again = open_stream(path)
    assert again.listens, "the socket of one that has ended is in nobody's way"
    again.close()


def test_places_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in ("file", "no/such/folder", "x" * 200):
        with pytest.raises(UserError, match="choose another path"):
            open_stream(str(tmp_path / place))
    assert (tmp_path / "file").read_text() == "mine"


def test_names_that_are_no_taps_are_told() -> None:
    for name in ("", "a/b", "sixteen-characters"):
        with pytest.raises(UserError, match="1 to 15"):
            open_tap(name)


@pytest.fixture
def tap() -> Iterator[str]:
    name = f"ght{os.getpid() % 100_000}"
    made = shutil.which("ip") and subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], capture_output=True)
    if not made or made.returncode:
        pytest.skip("no tap device can be made here (no privilege)")
    yield name
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def test_a_tap_carries_packets_with_their_headers(tap: str) -> None:
    wire = open_tap(tap)
    assert wire.offload
    assert wire.send(parts(FRAME)) and not wire.ended, "a tap that is not up loses frames"
    with pytest.raises(UserError, match="in use"):
        open_tap(tap)
    subprocess.run(["ip", "link", "set", tap, "up"], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)) as host:
        host.bind((tap, 0))
        host.settimeout(5)
        frame = b"\xff" * 6 + bytes.fromhex("525400123456") + b"\x88\xb5" + b"from the guest".ljust(46)
        assert wire.send(parts(frame))
        while (got := host.recv(2000))[12:14] != b"\x88\xb5":
            pass
        assert got == frame
        host.send(frame[::-1][:14] + b"from the host".ljust(46))
        while (packet := soon(wire)) is not None and b"from the host" not in packet:
            pass
        assert packet is not None and packet[12:26] == frame[::-1][:14]
    subprocess.run(["ip", "link", "del", tap], check=True)
    wire.receive()
    assert wire.ended
    wire.close()
