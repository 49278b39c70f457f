"""Which addresses the answers for a name had: what ties egress rules with names in them to packets."""

from __future__ import annotations

from collections import OrderedDict

LEAST_LIFE, GRACE = 60.0, 600.0
"""Seconds: an answer is believed so long at least, and so much longer than it says, as programs keep it longer too."""

MOST_ADDRESSES, MOST_NAMES = 4096, 16


class Names:
    """Names by address, each until its time is over. The oldest go where there are too many."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, name: str, address: bytes, ttl: float, now: float) -> None:
        """An answer for `name` had `address`, good for `ttl` seconds."""
        names = self._known.setdefault(address, {})
        self._known.move_to_end(address)
        until = now + max(LEAST_LIFE, min(ttl, 86400.0)) + GRACE
        names[name] = max(until, names.pop(name, 0.0))  # to the end, as the newest
        if len(names) > MOST_NAMES:
            del names[next(iter(names))]
        if len(self._known) > MOST_ADDRESSES:
            self._known.popitem(last=False)

    def of(self, address: bytes, now: float) -> list[str]:
        """The names that an address goes by now."""
        names = self._known.get(address)
        if not names:
            return []
        for name in [name for name, until in names.items() if until < now]:
            del names[name]
        return list(names)
