"""Reads Debian binary packages (deb(5)): an `ar` archive of a version, a control and a data archive."""

import io
import tarfile
from collections.abc import Callable

from guesthouse.errors import UserError
from guesthouse.guest import compression

AR_MAGIC = b"!<arch>\n"
DATA_LIMIT = 4 << 30
"""Bytes that a package's files may have together when unpacked."""

_COMPRESSIONS = {"": None, ".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2", ".lzma": "lzma"}
_MODES = {"gzip": "r|gz", "xz": "r|xz", "bzip2": "r|bz2", "lzma": "r|xz"}


def ar_members(data: bytes) -> dict[str, memoryview]:
    """The members of an `ar` archive by name, without copying. Raises UserError for a damaged archive."""
    if not data.startswith(AR_MAGIC):
        raise UserError("The package is not a Debian package (no ar archive); get it again.")
    view = memoryview(data)
    members: dict[str, memoryview] = {}
    position = len(AR_MAGIC)
    while position + 60 <= len(data):
        header = data[position : position + 60]
        try:
            size = int(header[48:58])
        except ValueError:
            size = -1
        if header[58:60] != b"`\n" or size < 0 or position + 60 + size > len(data):
            raise UserError("The package is damaged (a bad ar header); get it again.")
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        members[name] = view[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    return members


def read_control(data: bytes) -> str:
    """The package's `control` file as text. Raises UserError for a damaged package."""
    files = _read_member(data, "control.tar", lambda path: path == "control", compression.SIZE_LIMIT)
    if "control" not in files:
        raise UserError("The package has no control file; get it again.")
    return files["control"].decode("utf-8", "replace")


def read_files(data: bytes, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The contents of the regular files whose path satisfies `wanted`.

    Paths are relative to the root, without "./". The archive is read as a stream: only wanted files are kept.
    Raises UserError for a damaged package.
    """
    return _read_member(data, "data.tar", wanted, DATA_LIMIT)


def loosen(data: bytes) -> bytes:
    """The same package with its two archives uncompressed: unpacking it costs whoever installs it less.

    Raises UserError for a damaged package.
    """
    result = bytearray(AR_MAGIC)
    for name, content in ar_members(data).items():
        stem = next((stem for stem in ("control.tar", "data.tar") if name.startswith(stem)), None)
        plain: bytes | memoryview = content
        if stem and name != stem:
            method = _COMPRESSIONS.get(name.removeprefix(stem))
            if method is None:
                raise UserError(
                    f"The package's {name} is compressed in no known way; it may be newer than this program."
                )
            plain, name = compression.decompress(bytes(content), method, f"The package's {name}", DATA_LIMIT), stem
        result += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(plain):<10}`\n".encode()
        result += plain
        result += b"\n" * (len(plain) % 2)
    return bytes(result)


def _read_member(data: bytes, stem: str, wanted: Callable[[str], bool], limit: int) -> dict[str, bytes]:
    for name, content in ar_members(data).items():
        suffix = name.removeprefix(stem)
        if name.startswith(stem) and suffix in _COMPRESSIONS:
            try:
                return _read_tar(content, _COMPRESSIONS[suffix], wanted, limit)
            except (tarfile.TarError, EOFError, OSError, ValueError, MemoryError) as error:
                raise UserError(f"The package's {name} is damaged ({error}); get it again.") from error
    raise UserError(f"The package has no {stem} in a known compression; it may be newer than this program.")


def _read_tar(content: memoryview, method: str | None, wanted: Callable[[str], bool], limit: int) -> dict[str, bytes]:
    if method == "zstd":
        unpacked = compression.decompress(bytes(content), "zstd", "the package", limit)
        source, mode = io.BytesIO(unpacked), "r|"
    else:
        source, mode = io.BytesIO(content), _MODES[method] if method else "r|"
    files: dict[str, bytes] = {}
    total = 0
    with tarfile.open(fileobj=source, mode=mode) as archive:  # type: ignore[call-overload]
        for member in archive:
            path = member.name.removeprefix("./").lstrip("/")
            total += member.size
            if total > limit:
                raise ValueError("it unpacks to too much")
            if member.isreg() and wanted(path):
                extracted = archive.extractfile(member)
                files[path] = extracted.read() if extracted else b""
    return files
