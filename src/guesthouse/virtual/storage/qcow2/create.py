"""Making QCOW2 images, and opening them."""

from guesthouse.errors import UserError
from guesthouse.virtual.storage.block import Image
from guesthouse.virtual.storage.qcow2.header import BACKING_FORMAT, COMPRESSION, LAZY_REFCOUNTS, Header
from guesthouse.virtual.storage.qcow2.image import Qcow2Image
from guesthouse.virtual.storage.qcow2.refcounts import Refcounts
from guesthouse.virtual.storage.raw import File


def create(
    file: File,
    size: int,
    *,
    cluster_size: int = 65536,
    version: int = 3,
    refcount_bits: int = 16,
    lazy_refcounts: bool = False,
    compression: str = "zlib",
    backing: str | None = None,
    backing_format: str | None = None,
) -> None:
    """Write an empty image of `size` bytes into an open file; raises `UserError` where that can't be."""
    bits = cluster_size.bit_length() - 1
    if cluster_size != 1 << bits or not 9 <= bits <= 21:
        raise UserError("A cluster has 512 bytes to 2 MiB, a power of two.")
    if refcount_bits not in (1, 2, 4, 8, 16, 32, 64) or (version == 2 and refcount_bits != 16):
        raise UserError("A refcount has 1, 2, 4, 8, 16, 32 or 64 bits, and 16 in version 2.")
    if version not in (2, 3) or (version == 2 and (lazy_refcounts or compression != "zlib")):
        raise UserError("Only version 3 can have lazy refcounts and other compression than zlib.")
    if compression not in ("zlib", "zstd"):
        raise UserError("The compression is zlib or zstd.")
    if size < 512 or size % 512:
        raise UserError("The size of a disk is in whole sectors of 512 bytes, at least one.")
    header = Header(version, bits, size, refcount_order=refcount_bits.bit_length() - 1)
    if header.l1_needed(size) * 8 > 32 << 20:
        raise UserError("The disk is too large for its clusters; use larger ones.")
    header.compatible = LAZY_REFCOUNTS if lazy_refcounts else 0
    if compression == "zstd":
        header.incompatible, header.compression = COMPRESSION, 1
    header.backing = backing
    if backing is not None and backing_format is not None:
        header.set_extension(BACKING_FORMAT, backing_format.encode())
    _lay_out(file, header)


def _lay_out(file: File, header: Header) -> None:
    """Write header, refcount table, refcount blocks and L1 table side by side, the header last."""
    bits, cluster = header.cluster_bits, header.cluster
    file.truncate(0)
    header.l1_size = header.l1_needed(header.size)
    header.table_offset, header.table_clusters = cluster, 1
    counts = Refcounts(file, header)
    counts.put_block(0, 2)
    for used in range(3):
        counts.set(used, 1)
    counts.metadata.update(range(3))
    counts.hint = 3
    clusters = -(-header.l1_size * 8 >> bits)
    header.l1_offset = counts.allocate_table(clusters) << bits
    file.truncate(header.l1_offset + (clusters << bits))
    counts.write()
    file.flush()
    file.pwritev([header.pack()], 0)
    file.flush()


def open_qcow2(file: File, readonly: bool = False, backing: Image | None = None) -> Qcow2Image:
    """Open an image; one that was not closed has its refcounts repaired first, where it may be written."""
    image = Qcow2Image(file, readonly, backing)
    if not readonly and image.was_dirty:
        image.check(repair=True)
        if not image.lazy:
            image.set_dirty(False)
    return image
