"""What lies in memory when the guest starts, and with which registers it starts.

Sources: "Boot image header in RISC-V Linux" and "RISC-V Kernel Boot Requirements and Constraints" of the kernel's
documentation; the reset vector of QEMU's `virt` board; OpenSBI's "FW_DYNAMIC" and "FW_JUMP".
"""

from __future__ import annotations

import struct

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.definition import MIB, PAGE, kernel_parameters
from guesthouse.guest.device_tree import flatten
from guesthouse.guest.kernel import Form, KernelImage, load_kernel
from guesthouse.virtual.machine.board import Board
from guesthouse.virtual.machine.board_tree import Boot, device_tree
from guesthouse.virtual.memory.guest import GuestMemory

ISA_NAME = (
    "rv64imafdc_zicbom_zicbop_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zba_zbb_zbc_zbs"
    "_sstc_svinval_svnapot_svpbmt"
)
KERNEL_OFFSET = 0x20_0000
JUMP_TREE = 0x220_0000  # from the start of RAM: where fw_jump copies the device tree to
JUMP_TREE_SIZE = 0x20_0000
REACH = 1 << 30  # what is placed freely lies in the first so many bytes of RAM, which any firmware can address
ALIGNMENT = 0x20_0000

FW_DYNAMIC = struct.Struct("<6Q")
FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, SUPERVISOR, BOOT_HART = 0x4942534F, 2, 1, 0


class Files(msgspec.Struct, frozen=True):
    """The contents of the guest's files; empty where it has none. `raw`: the kernel may be code without any header."""

    kernel: bytes = b""
    initrd: bytes = b""
    firmware: bytes = b""
    raw: bool = True


class Entry(msgspec.Struct, frozen=True):
    """The start: address, and the registers a1 (device tree) and a2 (for firmware); `symbols` of the first program."""

    pc: int
    tree: int
    dynamic: int
    symbols: dict[str, int]


class _Placed(msgspec.Struct, frozen=True):
    """A program with its addresses made real."""

    image: KernelImage
    base: int
    name: str

    @property
    def entry(self) -> int:
        return self.base + self.image.entry

    @property
    def low(self) -> int:
        return self.base + min(segment.address for segment in self.image.segments)

    @property
    def high(self) -> int:
        return self.low + self.image.image_size


def place_guest(memory: GuestMemory, board: Board, files: Files, append: str, seed: bytes, cpus: int = 1) -> Entry:
    """Write firmware, kernel, initrd and device tree into RAM, which is empty; `seed` is the kernel's first randomness.

    Raises UserError where a file is no program for this machine or does not fit.
    """
    firmware = _firmware(memory, files.firmware) if files.firmware else None
    kernel = _kernel(memory, files.kernel, files.raw) if files.kernel else None
    programs = [program for program in (firmware, kernel) if program]
    taken = [_checked(memory, program) for program in programs]
    if firmware and kernel:
        if firmware.low < kernel.high and kernel.low < firmware.high:
            raise UserError("The firmware and the kernel need the same place in memory; link one of them elsewhere.")
        start = memory.base + JUMP_TREE
        taken.append((start, min(start + JUMP_TREE_SIZE, memory.base + memory.size)))
    initrd = None
    if files.initrd:
        at = _free(memory, taken, len(files.initrd), "The initrd")
        initrd = (at, at + len(files.initrd))
        taken.append(initrd)
    boot = Boot(
        cpus,
        memory.size,
        ISA_NAME,
        bootargs=kernel_parameters(append) if kernel else append,
        initrd=initrd,
        rng_seed=seed,
        machine_mode=firmware is not None,
    )
    tree = flatten(device_tree(board, boot))
    at = _free(memory, taken, len(tree) + PAGE, "The device tree")
    for program in programs:
        for segment in program.image.segments:
            memory.write(program.base + segment.address, segment.data)
    if initrd:
        memory.write(initrd[0], files.initrd)
    memory.write(at, tree)
    dynamic = at + -(-len(tree) // 8) * 8
    following = kernel.entry if kernel else memory.base + KERNEL_OFFSET
    memory.write(dynamic, FW_DYNAMIC.pack(FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, following, SUPERVISOR, 0, BOOT_HART))
    return Entry(programs[0].entry, at, dynamic, programs[0].image.symbols)


def _firmware(memory: GuestMemory, data: bytes) -> _Placed:
    """Raw at the start of RAM; an ELF file where it is linked, one linked to zero at the start of RAM."""
    image = load_kernel(data)
    if image.form is Form.LINUX:
        raise UserError("The firmware is a Linux kernel; give it as the kernel.")
    low = min(segment.address for segment in image.segments)
    shifted = image.relocatable or low < PAGE
    return _Placed(image, memory.base if shifted else 0, "firmware")


def _kernel(memory: GuestMemory, data: bytes, raw: bool) -> _Placed:
    """Linux at the offset its header names; raw code at the offset of kernels; an ELF file where it is linked."""
    image = load_kernel(data, raw)
    offset = KERNEL_OFFSET if image.form is Form.RAW else 0
    return _Placed(image, memory.base + offset if image.relocatable else 0, "kernel")


def _checked(memory: GuestMemory, program: _Placed) -> tuple[int, int]:
    """The range of a program's memory; raises UserError where it is not all RAM or not entered inside."""
    for segment in program.image.segments:
        if not memory.contains(program.base + segment.address, max(len(segment.data), segment.memory_size)):
            first = program.base + segment.address
            raise UserError(
                f"The {program.name} does not fit: it needs {segment.memory_size / MIB:.1f} MiB at {first:#x}, and the"
                f" machine has {memory.size // MIB} MiB at {memory.base:#x}; give more memory or link it elsewhere."
            )
    if not memory.contains(program.entry, 2):
        entry = f"{program.entry:#x}"
        raise UserError(f"The {program.name} starts at {entry}, where there is no memory; link it elsewhere.")
    return program.low, program.high


def _free(memory: GuestMemory, taken: list[tuple[int, int]], size: int, name: str) -> int:
    """The highest place, in reach, for `size` bytes clear of what is taken."""
    top = memory.base + min(memory.size, REACH)
    for end in sorted({top, *(low for low, _ in taken)}, reverse=True):
        at = (end - size) // ALIGNMENT * ALIGNMENT
        if end > top or at < memory.base:
            continue
        if all(at + size <= low or high <= at for low, high in taken):
            return at
    needed = f"{size / MIB:.1f} MiB" if size >= MIB else f"{-(-size // 1024)} KiB"
    raise UserError(f"{name} of {needed} finds no place in {memory.size // MIB} MiB of memory; give more memory.")
