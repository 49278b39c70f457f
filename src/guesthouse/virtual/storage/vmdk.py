"""VMDK, VMware's format: a descriptor names extents, each flat, or sparse with grain directory and grain tables.

Source: VMware Virtual Disk Format 1.1. Read: monolithic, split in 2 GiB, flat, sparse, stream-optimized.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple

from guesthouse.errors import UserError
from guesthouse.virtual.storage.mapped import MappedImage, Piece, exactly
from guesthouse.virtual.storage.raw import File
from guesthouse.virtual.storage.reports import Report
from guesthouse.virtual.storage.vmdk_sparse import MAGIC, SparseExtent

TEXT_START = b"# Disk DescriptorFile"
MOST_TEXT = 1 << 20
MOST_EXTENTS = 4096
EXTENT = re.compile(r'^(RW|RDONLY|NOACCESS)\s+(\d{1,20})\s+([A-Z0-9]+)(?:\s+"([^"]*)"(?:\s+(\d{1,20}))?)?', re.M)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*\"?([^\"\n]*?)\"?\s*$", re.M)
NO_PARENT = "ffffffff"


class Part(NamedTuple):
    """An extent: `length` bytes of the disk from `start`; sparse, flat from `position` of `file`, or zeros."""

    start: int
    length: int
    sparse: SparseExtent | None = None
    file: File | None = None
    position: int = 0


class VmdkImage(MappedImage):
    """A VMDK image of any kind that keeps its data in files beside the descriptor, or in one with it."""

    format: ClassVar[str] = "vmdk"

    def __init__(self, file: File, open_beside: Callable[[str], File]) -> None:
        """`open_beside` opens a file of the same folder by its name."""
        self.file = file
        self._others: list[File] = []
        self._kind = "monolithicSparse"
        try:
            self._parts = self._read_parts(file, open_beside)
            super().__init__(file, sum(part.length for part in self._parts))
        except BaseException:
            self._close_others()
            raise

    def _read_parts(self, file: File, open_beside: Callable[[str], File]) -> list[Part]:
        if exactly(file, 0, 4, "the header") == MAGIC:
            sparse = SparseExtent(file)
            self._read_fields(sparse.descriptor)
            return [Part(0, sparse.size, sparse)]
        text = exactly(file, 0, min(file.size, MOST_TEXT), "the descriptor")
        if not text.startswith(TEXT_START) or file.size > MOST_TEXT:
            raise UserError("This is no VMDK image; it has neither a header nor a descriptor.")
        descriptor = text.rstrip(b"\0").decode("utf-8", "replace")
        self._read_fields(descriptor)
        parts: list[Part] = []
        start = 0
        for found in EXTENT.finditer(descriptor):
            if len(parts) == MOST_EXTENTS:
                raise UserError(f"The VMDK image has more than {MOST_EXTENTS} extents, which is not believed.")
            length = int(found[2]) * 512
            parts.append(self._open_part(found, start, length, open_beside))
            start += length
        return parts

    def _read_fields(self, descriptor: str) -> None:
        fields = dict(FIELD.findall(descriptor))
        self._kind = fields.get("createType", self._kind)
        if fields.get("parentCID", NO_PARENT).lower() != NO_PARENT:
            raise UserError("This VMDK image is a difference to another; merge them with VMware's tools first.")

    def _open_part(self, found: re.Match[str], start: int, length: int, open_beside: Callable[[str], File]) -> Part:
        kind, name = found[3], found[4] or ""
        if kind == "ZERO":
            return Part(start, length)
        if kind not in ("FLAT", "SPARSE", "VMFS"):
            raise UserError(f"VMDK extents of type {kind} are not known; FLAT, SPARSE, VMFS and ZERO are.")
        if not name or PurePath(name).name != name:  # a descriptor must not name files elsewhere on this host
            raise UserError(
                f"The VMDK image names an extent {name!r} outside its folder; put all files into one folder."
            )
        file = open_beside(name)
        self._others.append(file)
        if kind == "SPARSE":
            sparse = SparseExtent(file)
            if sparse.size < length:
                raise UserError(f"The VMDK image is damaged: its extent {name!r} is too short.")
            return Part(start, length, sparse)
        position = int(found[5] or 0) * 512
        if file.size < position + length:
            raise UserError(f"The VMDK image is damaged: its extent {name!r} is too short.")
        return Part(start, length, None, file, position)

    def locate(self, offset: int, length: int) -> Piece:
        """Ask the extent that has it."""
        for part in self._parts:
            inside = offset - part.start
            if inside < part.length:
                break
        length = min(length, part.length - inside)
        if part.sparse:
            return part.sparse.locate(inside, length)
        if part.file is None:
            return Piece(length)
        return Piece(length, part.file, part.position + inside)

    def check(self, repair: bool = False) -> Report:
        """Look at the grains of each sparse extent, and whether the copies of its tables are the same."""
        report = Report(end=self.file.size)
        for part in self._parts:
            if part.sparse:
                part.sparse.check(report)
        return report

    def info(self) -> dict[str, Any]:
        """The kind, and the size of the grains."""
        grains = [part.sparse.grain for part in self._parts if part.sparse]
        sizes = {"cluster-size": grains[0]} if grains else {}
        packed = any(part.sparse and part.sparse.compressed for part in self._parts)
        return {"create-type": self._kind, "compressed": packed, "extents": len(self._parts), **sizes}

    def files(self) -> Iterator[File]:
        """The image's files."""
        yield self.file
        yield from self._others

    def close(self) -> None:
        """Close and unlock all the files."""
        self._close_others()
        self.file.close()

    def _close_others(self) -> None:
        for other in self._others:
            other.close()
        self._others.clear()
