"""Captures, read by scapy and, where it is there, tcpdump."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import RawPcapNgReader, rdpcap

from guesthouse.errors import UserError
from guesthouse.host.capture import Capture

FRAMES = [bytes(Ether() / IP(dst="10.0.0.1") / UDP(dport=7) / Raw(b"x" * n)) for n in (0, 1, 2, 3, 1400, 64_000)]


def captured(tmp_path: Path) -> Path:
    path = tmp_path / "net.pcap"
    capture = Capture(str(path))
    for number, frame in enumerate(FRAMES):
        capture.look(memoryview(frame), number % 2 == 0)
    capture.close()
    capture.look(b"behind the end", True)
    return path


def test_frames_come_back_with_their_times_in_nanoseconds(tmp_path: Path) -> None:
    before = time.time_ns()
    path = captured(tmp_path)
    packets = rdpcap(str(path))
    assert [bytes(packet) for packet in packets] == FRAMES
    times = [int(packet.time * 10**9) for packet in packets]
    assert before <= times[0] and times == sorted(times) and times[-1] <= time.time_ns()
    assert len(set(times)) == len(times)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_direction_is_told(tmp_path: Path) -> None:
    with RawPcapNgReader(str(captured(tmp_path))) as reader:
        directions = [metadata.direction for _, metadata in reader]
    assert directions == [2, 1, 2, 1, 2, 1]


def test_tcpdump_reads_it(tmp_path: Path) -> None:
    tcpdump = shutil.which("tcpdump")
    if tcpdump is None:
        pytest.skip("tcpdump is not installed")
    result = subprocess.run(
        [tcpdump, "-nr", captured(tmp_path), "udp port 7"], capture_output=True, text=True, check=True
    )
    assert len(result.stdout.splitlines()) == len(FRAMES)


def test_a_full_disk_ends_it_with_one_warning() -> None:
    warnings: list[str] = []
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with pytest.raises(UserError, match="the disk is full"):
        Capture("/dev/full", warnings.append)
    assert not warnings


def test_what_was_only_begun_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, warnings = tmp_path / "net.pcap", list[str]()
    capture = Capture(str(path), warnings.append)
    capture.look(FRAMES[1], True)
    whole = path.read_bytes()
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, pieces: writev(descriptor, pieces[:1]))
    for _ in range(3):
        capture.look(FRAMES[2], True)
    assert path.read_bytes() == whole
    assert len(warnings) == 1 and "no space" in warnings[0]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="write the capture"):
        Capture(str(tmp_path / "no" / "folder"))
