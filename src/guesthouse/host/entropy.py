"""Randomness of the host."""

from __future__ import annotations

import os


class HostEntropy:
    """The host's random bytes."""

    def bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return os.urandom(count)
