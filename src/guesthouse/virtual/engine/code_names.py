"""Names of what is compiled, in the persistent cache: a digest of what decides it for every request, and the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

PAGE = 4096


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


def page_digest(page: bytes) -> str:
    """What stands for a page's content in the names of its regions."""
    return hashlib.blake2b(page, digest_size=16).hexdigest()


def region_name(digest: str, page: bytes, entry: int) -> str:
    """Name of a region: what decides its code; raises ValueError for an entry that no page has."""
    if not 0 <= entry < PAGE:
        raise ValueError(f"{entry} is no offset in a page")
    return f"{region_prefix(digest)}{page_digest(page)}-{entry:x}"


def beside(name: str, entry: int) -> str:
    """Name of the region at another entry of the same page."""
    return f"{name.rpartition('-')[0]}-{entry:x}"


def regions_by_page(digest: str, names: Iterable[str]) -> dict[str, list[int]]:
    """The entries of the regions among these names, by the digest of their page."""
    prefix = region_prefix(digest)
    found: dict[str, list[int]] = {}
    for name in names:
        page, dash, entry = name.removeprefix(prefix).partition("-")
        if dash and name.startswith(prefix):
            found.setdefault(page, []).append(int(entry, 16))
    return found
