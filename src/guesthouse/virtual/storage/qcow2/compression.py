"""Compressed clusters: raw deflate (zlib's, a window of 4 KiB) or zstd."""

import zlib

import zstandard

from guesthouse.virtual.storage.qcow2.header import Header
from guesthouse.virtual.storage.qcow2.refcounts import broken
from guesthouse.virtual.storage.raw import File


class Compression:
    """Reads compressed clusters, and remembers the last one."""

    def __init__(self, file: File, header: Header) -> None:
        self.file, self.header = file, header
        self.last: tuple[int, int, bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """The whole cluster whose compressed data is at most these bytes of the file; `OSError` where it is broken."""
        last = self.last
        if last is not None and last[:2] == (offset, length):
            return last[2]
        packed = bytearray(length)
        self.file.preadv([memoryview(packed)], offset)
        data = self._unpack(bytes(packed))
        if len(data) != self.header.cluster:
            raise broken("a compressed cluster that is too short")
        self.last = (offset, length, data)
        return data

    def _unpack(self, packed: bytes) -> bytes:
        cluster = self.header.cluster
        try:
            if self.header.compression == 0:
                return zlib.decompressobj(-15).decompress(packed, cluster)
            stream = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(packed)
            return stream.read(cluster)
        except (zlib.error, zstandard.ZstdError) as error:
            raise broken("a compressed cluster that can't be read") from error
