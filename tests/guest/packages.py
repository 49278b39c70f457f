"""Small Debian packages, ELF files and kernels, made here so that tests need no network."""

import io
import struct
import tarfile

import zstandard

IMAGE_HEADER = struct.Struct("<II QQQ II Q Q II")


def ar(members: dict[str, bytes]) -> bytes:
    """An ar archive."""
    result = b"!<arch>\n"
    for name, data in members.items():
        result += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return result


def tar(files: dict[str, bytes], compression: str = "xz") -> bytes:
    """A tar archive with Debian's ./ before every path."""
    buffer = io.BytesIO()
    mode = {"xz": "w:xz", "gz": "w:gz"}.get(compression, "w")
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for path, data in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = buffer.getvalue()
    return zstandard.compress(data) if compression == "zst" else data


def deb(files: dict[str, bytes], control: str = "Package: sample\n", compression: str = "xz") -> bytes:
    """A Debian binary package."""
    suffix = f".{compression}" if compression else ""
    return ar(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{suffix}": tar({"control": control.encode()}, compression),
            f"data.tar{suffix}": tar(files, compression),
        }
    )


def elf(
    segments: list[tuple[int, int, bytes, int]] = (),  # type: ignore[assignment]
    entry: int = 0,
    symbols: dict[str, int] | None = None,
    sections: dict[str, bytes] | None = None,
    machine: int = 243,
) -> bytes:
    """An ELF file: segments as (virtual, physical, data, memory size), global symbols, sections by name."""
    contents = dict(sections or {})
    if symbols is not None:
        names = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
        table = bytes(24)
        for name, value in symbols.items():
            table += struct.pack("<IBBHQQ", names.index(name.encode() + b"\0"), 0x10, 0, 1, value, 0)
        contents |= {".symtab": table, ".strtab": names}
    texts = b"\0" + b"".join(name.encode() + b"\0" for name in [*contents, ".shstrtab"])
    contents[".shstrtab"] = texts
    body = bytearray(bytes(64 + 56 * len(segments)))
    programs = b""
    for virtual, physical, data, size in segments:
        programs += struct.pack("<IIQQQQQQ", 1, 7, len(body), virtual, physical, len(data), size, 4096)
        body += data
    headers = bytes(64)
    for index, (name, data) in enumerate(contents.items()):
        kind, link, stride = (2, index + 2, 24) if name == ".symtab" else (3 if "str" in name else 1, 0, 0)
        place = texts.index(name.encode() + b"\0")
        headers += struct.pack("<IIQQQQIIQQ", place, kind, 0, 0, len(body), len(data), link, 0, 1, stride)
        body += data
    count = len(contents) + 1
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    numbers = (2, machine, 1, entry, 64, len(body), 0, 64, 56, len(segments), 64, count, count - 1)
    body[: 64 + len(programs)] = struct.pack("<16sHHIQQQIHHHHHH", identity, *numbers) + programs
    return bytes(body) + headers


def module(depends: str = "", alias: str = "") -> bytes:
    """A kernel module that needs those named."""
    texts = ["license=GPL", *([f"alias={alias}"] if alias else []), f"depends={depends}", ""]
    return elf(sections={".modinfo": "\0".join(texts).encode()})


def linux_image(payload: bytes = b"\x13\0\0\0", text_offset: int = 0x200000, image_size: int = 0x300000) -> bytes:
    """A RISC-V boot image."""
    magics = (int.from_bytes(b"RISCV\0\0\0", "little"), int.from_bytes(b"RSC\x05", "little"))
    return IMAGE_HEADER.pack(0x5A4D, 0, text_offset, image_size, 0, 2, 0, 0, *magics, 64) + payload


def zboot(payload: bytes, method: bytes) -> bytes:
    """An EFI zboot image around compressed data."""
    return struct.pack("<4s4sII8s32s", b"MZ\0\0", b"zimg", 64, len(payload), b"", method).ljust(64, b"\0") + payload


def busybox(names: tuple[str, ...] = ("ash", "cat", "poweroff", "sh")) -> bytes:
    """What is looked at of a busybox program."""
    return b"\x7fELF" + bytes(20) + b"".join(name.encode() + b"\0" for name in ("[", "[[", *names)) + b"\0more"


def kernel_files(release: str = "6.1-test") -> dict[str, bytes]:
    """What is looked at of a kernel package."""
    folder = f"usr/lib/modules/{release}"
    drivers = f"{folder}/kernel/drivers"
    return {
        f"boot/vmlinux-{release}": linux_image(b"kernel"),
        f"{folder}/modules.builtin": b"kernel/drivers/char/virtio_console.ko\n",
        f"{drivers}/virtio/virtio_mmio.ko": module(),
        f"{drivers}/block/virtio_blk.ko": module(),
        f"{drivers}/net/virtio_net.ko": module("net_failover"),
        f"{drivers}/net/net_failover.ko": module("failover"),
        f"{folder}/kernel/net/core/failover.ko": module(),
        f"{drivers}/char/hw_random/virtio-rng.ko": module(),
        f"{folder}/kernel/fs/ext4/ext4.ko": module("jbd2,mbcache", "fs-ext4"),
        f"{folder}/kernel/crypto/crc32c_generic.ko": module(),
        f"{folder}/kernel/fs/isofs/isofs.ko": module(),
        f"{folder}/kernel/fs/jbd2/jbd2.ko": module(),
        f"{folder}/kernel/fs/mbcache.ko": module(),
        f"{folder}/kernel/fs/9p/9p.ko": module("9pnet", "fs-9p"),
        f"{folder}/kernel/net/9p/9pnet.ko": module(),
        f"{folder}/kernel/net/9p/9pnet_virtio.ko": module("9pnet", "9p-virtio"),
        f"{folder}/kernel/net/vmw_vsock/vsock.ko": module("", "net-pf-40"),
        f"{folder}/kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko": module("vsock", "virtio:d00000013v*"),
        f"{drivers}/virtio/virtio_balloon.ko": module("", "virtio:d00000005v*"),
        f"{drivers}/unwanted.ko": module("missing"),
    }
