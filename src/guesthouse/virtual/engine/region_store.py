"""Regions in the persistent cache: a record for each, to be found by the name of any of its entries."""

from __future__ import annotations

from typing import Any

import msgspec

from guesthouse.host.cache import AuthenticatedCache
from guesthouse.virtual.engine.code_names import region_name

OTHER = "same_as"  # the one member of a record that stands for another one


def get_region(cache: AuthenticatedCache, name: str) -> dict[str, Any] | None:
    """The region of this name (see `MadeRegion`); None where none is kept."""
    found = _record(cache, name)
    return _record(cache, found[OTHER]) if found is not None and OTHER in found else found


def put_region(cache: AuthenticatedCache, digest: str, page: bytes, name: str, region: dict[str, Any]) -> None:
    """Keep a region of a page, also under its other entries' names where nothing is kept under them."""
    cache.put(name, msgspec.msgpack.encode(region))
    for entry in region["entries"]:
        other = region_name(digest, page, entry)
        if cache.get(other) is None:
            cache.put(other, msgspec.msgpack.encode({OTHER: name}))


def _record(cache: AuthenticatedCache, name: str) -> dict[str, Any] | None:
    data = cache.get(name)
    return None if data is None else msgspec.msgpack.decode(data)
