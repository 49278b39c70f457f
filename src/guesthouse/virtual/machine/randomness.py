"""Random bytes from a seed, whose place in the sequence is state."""

from __future__ import annotations

import hashlib


class SeededEntropy:
    """The same bytes for the same `seed`, however they are asked for in pieces."""

    def __init__(self, seed: int, position: int = 0) -> None:
        self._seed = str(seed).encode()
        self.position = position  # bytes given so far

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        size = hashlib.blake2b().digest_size
        first, last = self.position // size, (self.position + count + size - 1) // size
        blocks = [hashlib.blake2b(b"%d" % i, key=self._seed[:64]).digest() for i in range(first, last)]
        start = self.position - first * size
        self.position += count
        return b"".join(blocks)[start : start + count]
