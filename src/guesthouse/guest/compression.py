"""Decompression of what distributions ship, bounded: a small file cannot ask for unbounded memory."""

import bz2
import lzma
import zlib
from typing import Protocol

import zstandard

from guesthouse.errors import UserError

SIZE_LIMIT = 1 << 30
"""Bytes that one decompressed file may have unless its caller says otherwise (1 GiB)."""

LZMA_MEMORY_LIMIT = 512 << 20
"""Bytes that the xz decoder may take for its dictionary (its highest preset takes 65 MiB)."""

ZSTD_WINDOW_LIMIT = 128 << 20
CHUNK = 1 << 20
ZSTD_PIECE = 1 << 10

_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh91AY&SY", "bzip2"),
)


class _Decoder(Protocol):
    """What the three standard decoders have in common."""

    @property
    def eof(self) -> bool: ...

    def feed(self, data: bytes, limit: int) -> bytes: ...

    def starving(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, limit)

    def starving(self) -> bool:
        return not self._decoder.unconsumed_tail


class _Streamed:
    def __init__(self, decoder: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> None:
        self._decoder = decoder

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        return self._decoder.decompress(data, limit)

    def starving(self) -> bool:
        return self._decoder.needs_input


class _Zstd:
    """Its decoder has no limit on what one call returns, so it is fed little: 128 KiB can come from 4 bytes."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_LIMIT).decompressobj()
        self._pending = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        self._pending = self._pending or memoryview(data)
        piece, self._pending = self._pending[:ZSTD_PIECE], self._pending[ZSTD_PIECE:]
        return self._decoder.decompress(piece)

    def starving(self) -> bool:
        return not self._pending


def recognise(data: bytes) -> str | None:
    """Name of the compression `data` begins with: gzip, xz, zstd, bzip2; None where it is none of these."""
    return next((name for magic, name in _MAGICS if data.startswith(magic)), None)


def decompress(data: bytes, method: str, what: str, limit: int = SIZE_LIMIT) -> bytes:
    """Decompress one stream; what follows it in `data` is ignored, as the kernel's own loaders do.

    `method` is gzip, xz, lzma, zstd or bzip2; `what` names the data in errors; `limit` is the greatest result in bytes.
    Raises UserError for damaged or truncated data, an unknown method, or a result over the limit.
    """
    try:
        result = _feed(_decoder(method, what), data, limit)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, zstandard.ZstdError, MemoryError) as error:
        raise UserError(f"{what} is damaged ({method}: {error}); get it again.") from error
    if len(result) > limit:
        raise UserError(f"{what} is more than {limit >> 20} MiB when decompressed; use a smaller one.")
    return result


def _decoder(method: str, what: str) -> _Decoder:
    if method == "gzip":
        return _Gzip()
    if method == "xz":
        return _Streamed(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_LIMIT))
    if method == "lzma":
        return _Streamed(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LZMA_MEMORY_LIMIT))
    if method == "zstd":
        return _Zstd()
    if method == "bzip2":
        return _Streamed(bz2.BZ2Decompressor())
    raise UserError(f"{what} is compressed with {method!r}, which is not supported; use gzip, xz or zstd.")


def _feed(decoder: _Decoder, data: bytes, limit: int) -> bytes:
    """Everything the decoder makes of `data`, stopping one byte over the limit."""
    result = bytearray()
    position = 0
    while not decoder.eof and len(result) <= limit:
        piece = b""
        if decoder.starving():
            piece = data[position : position + CHUNK]
            position += len(piece)
            if not piece:
                raise EOFError("it ends too early")
        result += decoder.feed(piece, min(CHUNK, limit + 1 - len(result)))
    return bytes(result)
