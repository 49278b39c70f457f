import threading
import time

from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.machine.engines import make_state
from guesthouse.virtual.machine.inbox import Inbox
from guesthouse.virtual.machine.input import PATIENCE, Input


class Device:
    """Takes as much as `space` allows."""

    def __init__(self, space: int) -> None:
        self.space = space
        self.data = b""

    def room(self) -> int:
        return self.space

    def receive(self, data: bytes) -> int:
        taken = data[: self.space]
        self.data += taken
        self.space -= len(taken)
        return len(taken)


def test_bytes_wait_until_the_device_has_room() -> None:
    device, ends = Device(3), []
    inbox = Inbox(make_state(ISA))
    stream = Input(inbox, device, lambda: ends.append(len(device.data)))
    stream.write(b"abcdef")
    assert device.data == b"" and inbox.waiting
    inbox.serve()
    assert device.data == b"abc" and stream.pending == 3
    stream.close()
    inbox.serve()
    assert not ends
    device.space = 10
    stream.feed()
    stream.feed()
    assert device.data == b"abcdef" and ends == [6]


def test_a_patient_writer_waits_for_room() -> None:
    device = Device(0)
    inbox = Inbox(make_state(ISA))
    stream = Input(inbox, device)
    stream.write(bytes(PATIENCE))
    done: list[float] = []

    def write() -> None:
        stream.write(b"x", wait=True)
        done.append(time.monotonic())

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.05)
    assert not done
    device.space = 1 << 20
    freed = time.monotonic()
    stream.feed()
    thread.join(5)
    assert done and done[0] >= freed
    inbox.serve()
    assert len(device.data) == PATIENCE + 1


def test_posted_calls_ask_the_engine_to_stop_and_run_once() -> None:
    state = make_state(ISA)
    inbox, done = Inbox(state), []
    inbox.post(lambda: done.append(1))
    inbox.post(lambda: inbox.post(lambda: done.append(2)))
    assert state.request == 1
    inbox.serve()
    assert done == [1] and inbox.waiting and state.request == 1
    inbox.serve()
    assert done == [1, 2] and state.request == 0
