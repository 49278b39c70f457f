"""The two wrappings of a Linux kernel for RISC-V besides ELF: the boot image and the EFI zboot image around it.

Sources: the kernel's "Boot image header in RISC-V Linux" and the header of its EFI zboot images.
"""

import struct

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest import compression

_HEADER = struct.Struct("<II QQQ II Q Q II")
"""code0, code1, text_offset, image_size, flags, version, res1, res2, magic, magic2, res3: 64 bytes."""

_ZBOOT = struct.Struct("<4s4sII8s32s")
"""MZ, zimg, payload offset, payload size, reserved, compression as text: 56 bytes."""

MAGIC2 = int.from_bytes(b"RSC\x05", "little")
FLAG_BIG_ENDIAN = 1
SIZE_LIMIT = 1 << 32


class ImageHeader(msgspec.Struct, frozen=True):
    """Where a boot image wants to be: bytes from the start of RAM, a multiple of 2 MiB, and bytes with its BSS."""

    text_offset: int
    image_size: int


def parse_image_header(data: bytes) -> ImageHeader | None:
    """The header of a RISC-V boot image, None where `data` is none.

    Raises UserError for a kernel of another architecture or byte order and for a header that makes no sense.
    """
    if data[56:60] == b"ARM\x64" or data[0x202:0x206] == b"HdrS":
        raise UserError("The kernel is for another processor; give one for riscv64.")
    if len(data) < _HEADER.size:
        return None
    _, _, text_offset, image_size, flags, _, _, _, _, magic2, _ = _HEADER.unpack_from(data)
    if magic2 != MAGIC2:
        return None
    if flags & FLAG_BIG_ENDIAN:
        raise UserError("The kernel is big-endian; give a little-endian one.")
    if text_offset >= SIZE_LIMIT or image_size >= SIZE_LIMIT or text_offset % 4096:
        raise UserError("The kernel's header is damaged (its offset or size makes no sense); get it again.")
    return ImageHeader(text_offset, max(image_size, len(data)))


def is_zboot(data: bytes) -> bool:
    """Whether this is an EFI zboot image."""
    return data[:2] == b"MZ" and data[4:8] == b"zimg"


def unpack_zboot(data: bytes) -> bytes:
    """The boot image inside an EFI zboot image. Raises UserError where it is damaged or its compression is unknown."""
    if len(data) < _ZBOOT.size:
        raise UserError("The kernel is truncated; get it again.")
    _, _, offset, size, _, method = _ZBOOT.unpack_from(data)
    if not size or offset + size > len(data):
        raise UserError("The kernel is truncated (its compressed part lies outside of it); get it again.")
    name = method.partition(b"\0")[0].decode("ascii", "replace")
    name = {"zstd22": "zstd", "xzkern": "xz"}.get(name, name)
    return compression.decompress(data[offset : offset + size], name, "The kernel")
