"""The header in front of each frame: what is left to do for checksum and segmentation (VIRTIO 1.3, 5.1.6)."""

from __future__ import annotations

import struct

HEADER = struct.Struct("<BBHHHHH")
"""flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers"""

SIZE = HEADER.size
NEEDS_CSUM = 1
DATA_VALID = 2
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 4, 5, 0x80

PLAIN = HEADER.pack(0, GSO_NONE, 0, 0, 0, 0, 1)
"""Of a frame that is whole."""

LARGEST = SIZE + 65550
"""Bytes of a message, header and frame."""


def partial(start: int, offset: int) -> bytes:
    """Of a frame whose checksum, `offset` bytes into what begins at `start`, is the pseudo header's only."""
    return HEADER.pack(NEEDS_CSUM, GSO_NONE, 0, 0, start, offset, 1)


def segmented(kind: int, headers: int, size: int, start: int, offset: int) -> bytes:
    """Of a frame to be cut into pieces of `size` bytes behind its `headers` bytes."""
    return HEADER.pack(NEEDS_CSUM, kind, headers, size, start, offset, 1)
