import struct

import pytest

from guesthouse.errors import UserError
from guesthouse.virtual.machine.board import virt
from guesthouse.virtual.machine.boot import FW_DYNAMIC, Files, place_guest
from guesthouse.virtual.memory.guest import GuestMemory
from tests.virtual.machine.programs import FIRMWARE, KERNEL, assembled, elf_file

BASE = 0x8000_0000


def linux(size: int) -> bytes:
    """What looks like a Linux boot image whose memory is `size` bytes."""
    return struct.pack("<IIQQQIIQQ", 0x6F, 0, 0x20_0000, size, 0, 2, 0, 0, 0) + b"RSC\x05" + bytes(68)


@pytest.fixture
def memory():
    memory = GuestMemory(BASE, 64 << 20)
    yield memory
    memory.close()


def place(memory: GuestMemory, append: str = "", **files: bytes):
    return place_guest(memory, virt(), Files(**files), append, b"s" * 32)


def test_kernel_under_the_built_in_firmware(memory: GuestMemory) -> None:
    kernel, initrd = linux(20 << 20), b"an initrd" * 1000
    entry = place(memory, kernel=kernel, initrd=initrd)
    assert entry.pc == KERNEL
    assert memory.read(KERNEL, len(kernel)) == kernel
    tree = memory.read(entry.tree, 65536)
    size = int.from_bytes(tree[4:8], "big")
    assert tree[:4] == b"\xd0\x0d\xfe\xed" and size < 65536
    assert b"console=ttyS0 panic=-1\0" in tree[:size]
    assert b"s" * 32 in tree[:size]
    assert b"sifive,clint0" not in tree[:size]
    start = int.from_bytes(property_of(tree[:size], b"linux,initrd-start"), "big")
    end = int.from_bytes(property_of(tree[:size], b"linux,initrd-end"), "big")
    assert memory.read(start, end - start) == initrd
    assert entry.tree >= KERNEL + (20 << 20)
    assert end <= entry.tree or entry.tree + size <= start


def property_of(tree: bytes, name: bytes) -> bytes:
    """An eight-byte property of a flattened tree."""
    strings = int.from_bytes(tree[12:16], "big")
    offset = tree.index(name + b"\0", strings) - strings
    at = tree.index(struct.pack(">III", 3, 8, offset))
    return tree[at + 12 : at + 20]


def test_firmware_finds_where_to_go(memory: GuestMemory) -> None:
    entry = place(memory, firmware=b"\x13\0\0\0" * 100, kernel=linux(20 << 20), initrd=bytes(1 << 20))
    assert entry.pc == FIRMWARE
    assert entry.dynamic % 8 == 0
    assert FW_DYNAMIC.unpack(memory.read(entry.dynamic, FW_DYNAMIC.size)) == (0x4942534F, 2, KERNEL, 1, 0, 0)
    tree = memory.read(entry.tree, 65536)
    size = int.from_bytes(tree[4:8], "big")
    assert b"sifive,clint0" in tree[:size]
    start = int.from_bytes(property_of(tree[:size], b"linux,initrd-start"), "big")
    jump = (BASE + 0x220_0000, BASE + 0x240_0000)
    for first, last in ((entry.tree, entry.dynamic + 48), (start, start + (1 << 20))):
        assert last <= jump[0] or jump[1] <= first


def test_elf_goes_where_it_is_linked(memory: GuestMemory) -> None:
    program = assembled("start: j start\nword: .dword 1", BASE + 0x1000)
    entry = place(memory, firmware=elf_file(program))
    assert entry.pc == BASE + 0x1000
    assert entry.symbols["word"] == program.symbols["word"]
    assert memory.read(BASE + 0x1000, len(program.data)) == program.data


def test_firmware_linked_to_zero_goes_to_the_start_of_memory(memory: GuestMemory) -> None:
    program = assembled("start: j start", 0)
    entry = place(memory, firmware=elf_file(program))
    assert entry.pc == BASE and memory.read(BASE, len(program.data)) == program.data


def test_raw_kernel_lies_where_kernels_lie(memory: GuestMemory) -> None:
    code = assembled("1: j 1b").data
    assert place(memory, kernel=code).pc == KERNEL
    assert memory.read(KERNEL, len(code)) == code


@pytest.mark.parametrize(
    ("append", "expected"),
    [
        ("", "console=ttyS0 panic=-1"),
        ("quiet", "console=ttyS0 panic=-1 quiet"),
        ("panic=5 x=1", "console=ttyS0 panic=5 x=1"),
        ("console=hvc0", "panic=-1 console=hvc0"),
        ("  panic=0   console=tty0 ", "panic=0   console=tty0"),
    ],
)
def test_kernel_parameters(memory: GuestMemory, append: str, expected: str) -> None:
    entry = place(memory, append, kernel=linux(1 << 20))
    assert expected.encode() + b"\0" in memory.read(entry.tree, 8192)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"kernel": linux(63 << 20)}, "The kernel does not fit: it needs 63.0 MiB at 0x80200000"),
        ({"kernel": linux(61 << 20), "initrd": bytes(3 << 20)}, "The initrd of 3.0 MiB finds no place"),
        ({"kernel": linux(62 << 20), "initrd": bytes(2 << 20)}, "The device tree of [0-9]+ KiB finds no place"),
        ({"firmware": bytes(4 << 20), "kernel": linux(1 << 20)}, "need the same place"),
        ({"firmware": linux(1 << 20)}, "give it as the kernel"),
        ({"kernel": elf_file(assembled("nop", 0x1_0000_0000))}, "does not fit"),
        ({"kernel": elf_file(assembled("nop", KERNEL), entry=0x10)}, "starts at 0x10, where there is no memory"),
    ],
)
def test_what_does_not_fit_is_said(memory: GuestMemory, files: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        place(memory, **files)


def test_large_memory_keeps_everything_in_reach() -> None:
    memory = GuestMemory(BASE, 16 << 30)
    entry = place(memory, kernel=linux(1 << 20), initrd=bytes(100))
    assert entry.tree < BASE + (1 << 30)
    memory.close()
