import os
import threading
from pathlib import Path

from guesthouse.host.channels import CHUNK, Outlet
from guesthouse.host.handover import Bell, Handover, LineLog
from guesthouse.host.loop import Loop


def test_a_bell_rung_in_another_thread_wakes_the_loop() -> None:
    loop, heard = Loop(), []
    bell = Bell(loop, lambda: heard.append(1))
    threading.Thread(target=bell.ring).start()
    loop.turn(10)
    assert heard == [1]


def test_a_fast_writer_waits_and_nothing_is_lost() -> None:
    loop = Loop()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handover = Handover(Bell(loop, lambda: None), Outlet(loop, writer, CHUNK))
    data = os.urandom(1 << 20)
    thread = threading.Thread(target=lambda: [handover.write(data[at : at + 999]) for at in range(0, len(data), 999)])
    thread.start()
    seen = b""
    while len(seen) < len(data):
        loop.turn(0.01)
        handover.move()
        assert len(handover._bytes) <= CHUNK + 999
        if handover._outlet.buffer or seen:
            os.set_blocking(reader, False)
            try:
                seen += os.read(reader, 1 << 16)
            except BlockingIOError:
                continue
    thread.join(10)
    assert seen == data and handover.empty
    os.close(reader)
    os.close(writer)


def test_an_abandoned_handover_holds_nobody_up() -> None:
    loop = Loop()
    reader, writer = os.pipe()
    handover = Handover(Bell(loop, lambda: None), Outlet(loop, writer))
    handover.write(bytes(CHUNK))
    thread = threading.Thread(target=lambda: handover.write(b"more"))
    thread.start()
    handover.abandon()
    thread.join(10)
    assert not thread.is_alive()
    os.close(reader)
    os.close(writer)


def test_lines_go_to_a_file(tmp_path: Path) -> None:
    log = LineLog(str(tmp_path / "log"), "\r\n")
    log.put("one")
    log.close()
    assert (tmp_path / "log").read_text() == "one\n"


def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    log = LineLog("/dev/full", "\n")
    for _ in range(5000):
        log.put("a line of some length, so that the buffer fills")
    log.close()
    assert Path("/dev/full").exists()
