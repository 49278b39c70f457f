"""Names of what is compiled, in the persistent cache: a digest of what decides it for every request, and the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping


def _runtime_name(digest: str) -> str:
    """Name of the object with everything that is compiled ahead."""
    return f"{digest}.runtime"


def _stencils_name(digest: str) -> str:
    """Name of the stencils."""
    return f"{digest}.stencils"


AHEAD: Mapping[str, Callable[[str], str]] = {"runtime": _runtime_name, "stencils": _stencils_name}
"""What is made ahead of every guest, and its name."""


def region_prefix(digest: str) -> str:
    """What the names of all regions begin with."""
    return f"{digest}.r-"


def region_name(digest: str, page: bytes, entry: int) -> str:
    """Name of a region: what decides its code; raises ValueError for an entry that no page has."""
    what = hashlib.blake2b(page + bytes([entry & 0xFF, entry >> 8]), digest_size=16)
    return region_prefix(digest) + what.hexdigest()
