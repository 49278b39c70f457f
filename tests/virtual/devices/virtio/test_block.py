import errno
import itertools
import struct
from collections.abc import Sequence

import pytest

from guesthouse.virtual.devices.virtio import block
from guesthouse.virtual.devices.virtio.block import VirtioBlock
from tests.virtual.devices.fakes import BASE, Disk, Work
from tests.virtual.devices.virtio.driver import Driver

ALL = 1 << block.FLUSH | 1 << block.DISCARD | 1 << block.WRITE_ZEROES


def header(kind: int, sector: int = 0) -> bytes:
    return struct.pack("<IIQ", kind, 0, sector)


def layout_name(options: tuple[bool, bool, bool]) -> str:
    packed, indirect, events = options
    return ("packed" if packed else "split") + "-indirect" * indirect + "-events" * events


@pytest.fixture(params=list(itertools.product((False, True), repeat=3)), ids=layout_name)
def layout(request: pytest.FixtureRequest) -> dict[str, bool]:
    packed, indirect, events = request.param
    return {"packed": packed, "indirect": indirect, "events": events}


def test_writes_and_reads_in_every_layout(layout: dict[str, bool]) -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work()), features=ALL, **layout)
    for turn in range(30):
        data = bytes([turn + 1]) * 1024
        assert driver.ask(0, [header(block.TYPE_OUT, turn), data[:500], data[500:]], [1]) == b"\0"
        assert disk.data[turn * 512 : turn * 512 + 1024] == data
        assert driver.ask(0, [header(block.TYPE_IN, turn)], [700, 325]) == data + b"\0"
    assert not driver.broken


def test_header_and_status_may_be_cut_anywhere() -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work()))
    head = header(block.TYPE_OUT, 3)
    assert driver.ask(0, [head[:5], head[5:] + b"x" * 100, b"x" * 412], [1]) == b"\0"
    assert disk.data[3 * 512 : 4 * 512] == b"x" * 512


def test_identity_capacity_and_limits() -> None:
    driver = Driver(VirtioBlock(Disk(sectors=77), Work(), serial=b"first"))
    assert driver.device.read(0x100, 8) == 77
    assert driver.device.read(0x100 + 12, 4) == block.SEGMENTS
    assert driver.ask(0, [header(block.TYPE_GET_ID)], [20, 1]) == b"first".ljust(20, b"\0") + b"\0"


def test_errors_have_a_status() -> None:
    driver = Driver(VirtioBlock(Disk(sectors=8, broken=5), Work()), features=ALL)
    for request, room in (
        ([header(block.TYPE_IN, 5)], [512, 1]),
        ([header(block.TYPE_IN, 8)], [512, 1]),
        ([header(block.TYPE_IN, 1 << 63)], [512, 1]),
        ([header(block.TYPE_IN)], [100, 1]),
        ([header(block.TYPE_OUT, 5), bytes(512)], [1]),
    ):
        assert driver.ask(0, request, room)[-1] == block.IO_ERROR
    assert driver.ask(0, [header(99)], [1]) == bytes([block.UNSUPPORTED])
    assert not driver.broken


def test_a_readonly_disk_says_so_and_refuses() -> None:
    disk = Disk(readonly=True)
    driver = Driver(VirtioBlock(disk, Work()))
    driver.device.write(0x14, 4, 0)
    assert driver.device.read(0x10, 4) >> block.READ_ONLY & 1
    assert driver.ask(0, [header(block.TYPE_OUT), b"x" * 512], [1])[-1] == block.IO_ERROR
    assert driver.ask(0, [header(block.TYPE_IN)], [512, 1])[-1] == block.OK


def test_flush_is_the_driver_s_where_it_accepts_it_and_ours_where_not() -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work()), features=ALL)
    driver.ask(0, [header(block.TYPE_OUT), bytes(512)], [1])
    assert disk.flushes == 0
    assert driver.ask(0, [header(block.TYPE_FLUSH)], [1]) == b"\0"
    assert disk.flushes == 1
    careful = Disk()
    Driver(VirtioBlock(careful, Work())).ask(0, [header(block.TYPE_OUT), bytes(512)], [1])
    assert careful.flushes == 1


def test_discard_and_write_zeroes() -> None:
    disk = Disk()
    disk.data[:] = b"\xff" * len(disk.data)
    driver = Driver(VirtioBlock(disk, Work()), features=ALL)
    ranges = struct.pack("<QII", 1, 2, 0) + struct.pack("<QII", 5, 1, 0)
    assert driver.ask(0, [header(block.TYPE_DISCARD), ranges], [1]) == b"\0"
    assert driver.ask(0, [header(block.TYPE_WRITE_ZEROES), struct.pack("<QII", 8, 1, 1)], [1]) == b"\0"
    assert [disk.data[sector * 512] for sector in range(10)] == [255, 0, 0, 255, 255, 0, 255, 255, 0, 255]
    assert driver.ask(0, [header(block.TYPE_DISCARD), struct.pack("<QII", 1, 2, 1)], [1]) == b"\2"
    assert driver.ask(0, [header(block.TYPE_DISCARD), struct.pack("<QII", 60, 9, 0)], [1]) == b"\1"


@pytest.mark.parametrize("packed", [False, True])
def test_a_transfer_outside_memory_asks_for_a_reset(packed: bool) -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work()), packed=packed)
    driver.add(0, [header(block.TYPE_OUT), b"x" * 512], [1])
    driver.ram.write(driver.area(0, 16), struct.pack("<Q", 1 << 62))
    driver.kick(0)
    assert driver.broken
    assert driver.device.read(0x60, 4) & 2
    assert driver.take(0) is None
    driver.device.write(0x70, 4, 0)
    assert driver.device.read(0x70, 4) == 0 and not driver.irq.level


def test_a_huge_request_is_refused_without_work() -> None:
    disk = Disk(sectors=1 << 40 >> 9 >> 20)
    driver = Driver(VirtioBlock(disk, Work()), indirect=True)
    table = driver.place(16 * 1024)
    driver.ram.write(table, struct.pack("<QIHH", driver.free, 16, 1, 1))
    for index in range(1, 1023):
        driver.ram.write(table + 16 * index, struct.pack("<QIHH", BASE, 0xFFFF_FE00, 3, index + 1))
    driver.ram.write(table + 16 * 1023, struct.pack("<QIHH", driver.free + 64, 1, 2, 0))
    driver.ram.write(driver.free, header(block.TYPE_IN))
    driver.ram.write(driver.area(0, 0), struct.pack("<QIHH", table, 16 * 1024, 4, 0))
    driver.ram.store(driver.area(0, 0x402), 2, 1)
    driver.kick(0)
    assert driver.ram.read(driver.free + 64, 1) == bytes([block.IO_ERROR])


def test_requests_under_way_end_in_any_order() -> None:
    disk, work = Disk(), Work(later=True)
    driver = Driver(VirtioBlock(disk, work), features=ALL, indirect=True)
    disk.data[:] = bytes(range(64)) * 512
    requests = [driver.add(0, [header(block.TYPE_IN, sector)], [512, 1]) for sector in range(4)]
    driver.kick(0)
    assert driver.take(0) is None and len(work.jobs) == 4
    for number in (2, 0, 1, 0):
        work.finish(number)
    order = [driver.take(0) for _ in range(4)]
    assert [request for request, _, _ in order] == [requests[place] for place in (2, 0, 3, 1)]
    for request, _, data in order:
        sector = requests.index(request)
        assert data == disk.data[sector * 512 : sector * 512 + 512] + b"\0"


def test_a_reset_waits_for_what_is_under_way_and_drops_it() -> None:
    disk, work = Disk(), Work(later=True)
    driver = Driver(VirtioBlock(disk, work), features=ALL)
    driver.add(0, [header(block.TYPE_OUT, 1), b"x" * 512], [1])
    driver.kick(0)
    driver.device.write(0x70, 4, 0)
    assert not work.jobs and disk.data[512:1024] == b"x" * 512
    assert driver.take(0) is None and not driver.irq.level


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_host_holds_the_machine_until_there_is_room(number: int) -> None:
    class Full(Disk):
        full = True

        def writev(self, offset: int, buffers: Sequence[bytes | memoryview]) -> None:
            if self.full:
                raise OSError(number, "full")
            super().writev(offset, buffers)

    disk, work = Full(), Work()
    driver = Driver(VirtioBlock(disk, work), features=ALL)
    driver.add(0, [header(block.TYPE_OUT, 1), b"x" * 512], [1])
    driver.kick(0)
    assert driver.take(0) is None
    ((why, again),) = work.holds
    assert "no room" in why and not again()
    disk.full = False
    assert again()
    assert driver.take(0)[2] == b"\0" and disk.data[512:1024] == b"x" * 512


def test_a_queue_for_each_processor() -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work(), queues=3), features=ALL | 1 << block.MQ)
    assert driver.device.read(0x100 + 34, 2) == 3
    for queue in range(3):
        assert driver.ask(queue, [header(block.TYPE_OUT, queue), bytes([queue + 1]) * 512], [1]) == b"\0"
    assert [disk.data[queue * 512] for queue in range(3)] == [1, 2, 3]
    assert len(VirtioBlock(disk, Work(), queues=32).queue_sizes) == block.MOST_QUEUES


def test_write_through_flushes_each_write() -> None:
    disk = Disk()
    driver = Driver(VirtioBlock(disk, Work()), features=ALL | 1 << block.CONFIG_WCE)
    driver.ask(0, [header(block.TYPE_OUT), bytes(512)], [1])
    assert disk.flushes == 0
    driver.device.write(0x100 + 32, 1, 0)
    assert disk.flushes == 1, "what was written before"
    driver.ask(0, [header(block.TYPE_OUT), bytes(512)], [1])
    assert disk.flushes == 2


def test_another_size_is_told() -> None:
    disk = Disk(sectors=64)
    function = VirtioBlock(disk, Work())
    driver = Driver(function, features=ALL)
    generation = driver.device.read(0xFC, 4)
    disk.data += bytes(512 * 64)
    function.resized()
    assert driver.device.read(0x100, 8) == 128 and driver.device.read(0xFC, 4) != generation
    assert driver.device.read(0x60, 4) & 2 and driver.irq.level
    assert driver.ask(0, [header(block.TYPE_OUT, 100), bytes(512)], [1]) == b"\0"
