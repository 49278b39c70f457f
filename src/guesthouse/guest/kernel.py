"""Kernels, firmware and bare-metal programs: whatever file the user gives, as bytes with the places they go to."""

from enum import Enum

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import compression, elf, linux_image
from guesthouse.guest.recognition import kind_of

NESTING_LIMIT = 3
HIGH_HALF = 1 << 63
ACCEPTED = (
    "give an ELF file or a Linux Image for riscv64 (also compressed, or as EFI zboot), or say that it is raw code"
    " (--kernel FILE,raw or Machine(raw=True))"
)


class Form(Enum):
    """How the file says where it goes."""

    ELF = "ELF"
    LINUX = "Linux boot image"
    RAW = "raw"


class Segment(msgspec.Struct, frozen=True):
    """Bytes and their place; what `memory_size` has beyond them is zero.

    `address` is a physical address, or bytes from the start of RAM where the image is `relocatable`.
    """

    address: int
    data: bytes
    memory_size: int


class KernelImage(msgspec.Struct, frozen=True):
    """A program ready to be laid into memory.

    Where `relocatable` is true, `entry` and the addresses of segments are relative to a base the machine chooses
    (a multiple of 2 MiB for `Form.LINUX`); else they are physical. `image_size` counts bytes from the lowest address to
    the end, with zeroed memory. `symbols` maps names to physical addresses as linked, empty for other forms than ELF.
    """

    form: Form
    segments: tuple[Segment, ...]
    entry: int
    image_size: int
    relocatable: bool
    symbols: dict[str, int] = msgspec.field(default_factory=dict)


def load_kernel(data: bytes, raw: bool = True) -> KernelImage:
    """Recognise ELF, Linux boot images, EFI zboot images, any of these compressed (gzip, xz, zstd, ...), and raw code.

    For a Linux boot image the addresses begin at its header's text offset (0x200000), relative to the start of RAM.
    What is none of these is code as it is where `raw` is true, else refused. Raises UserError where the file is empty,
    truncated, damaged or for another processor. Nothing here reserves memory for `memory_size`: the machine compares it
    to its RAM.
    """
    data = _unwrap(data)
    if data.startswith(elf.MAGIC):
        return _from_elf(data)
    header = linux_image.parse_image_header(data)
    if header:
        segment = Segment(header.text_offset, data, header.image_size)
        return KernelImage(Form.LINUX, (segment,), header.text_offset, header.image_size, relocatable=True)
    if not raw:
        raise UserError(f"The kernel file is {kind_of(data)}; {ACCEPTED}.")
    return KernelImage(Form.RAW, (Segment(0, data, len(data)),), 0, len(data), relocatable=True)


def _unwrap(data: bytes) -> bytes:
    """The file without zboot and compression around it."""
    for _ in range(NESTING_LIMIT + 1):
        if not data:
            raise UserError("The kernel or firmware file is empty; get it again.")
        if linux_image.is_zboot(data):
            data = linux_image.unpack_zboot(data)
        elif method := compression.recognise(data):
            data = compression.decompress(data, method, "The kernel")
        else:
            return data
    raise UserError("The kernel is compressed many times over; give it with less wrapping.")


def _from_elf(data: bytes) -> KernelImage:
    file = elf.parse_elf(data)
    if file.machine != elf.MACHINE_RISCV:
        raise UserError(f"The ELF file is for another processor (machine {file.machine}); build it for riscv64.")
    loads = [program for program in file.programs if program.type == elf.PT_LOAD and program.memory_size]
    if not loads:
        raise UserError("The ELF file has nothing to load; link it as an executable.")
    if sum(program.file_size for program in loads) > len(data):
        raise UserError("The ELF file is damaged (its segments overlap in the file); build it again.")
    base = _relocation(loads, data)
    segments = []
    for program in loads:
        if program.file_size > program.memory_size or program.physical + program.memory_size > 1 << 64:
            raise UserError("The ELF file is damaged (a segment's sizes make no sense); build it again.")
        content = elf.file_bytes(data, program.offset, program.file_size)
        segments.append(Segment(program.physical + (base or 0), content, program.memory_size))
    names = {name: _physical(loads, value) + (base or 0) for name, value in elf.symbols(data, file).items()}
    low = min(segment.address for segment in segments)
    size = max(segment.address + segment.memory_size for segment in segments) - low
    entry = _physical(loads, file.entry) + (base or 0)
    return KernelImage(Form.ELF, tuple(segments), entry, size, base is not None, names)


def _physical(loads: list[elf.ProgramHeader], address: int) -> int:
    """The load address of an address as linked; the same where no segment holds it.

    The end of a segment counts as held unless another segment begins there: symbols may mark it.
    """
    for slack in (0, 1):
        for program in loads:
            if program.virtual <= address < program.virtual + program.memory_size + slack:
                return address - program.virtual + program.physical
    return address


def _relocation(loads: list[elf.ProgramHeader], data: bytes) -> int | None:
    """Text offset of a Linux `vmlinux`, None for a program with addresses of its own.

    Linux links its ELF file in the high half with load addresses that count from 0, so they are no real addresses.
    """
    first = min(loads, key=lambda program: program.physical)
    if first.physical >= 0x1000 or first.virtual < HIGH_HALF:
        return None
    header = linux_image.parse_image_header(data[first.offset : first.offset + 64])
    return header.text_offset if header else 0x200000
