"""How long work tells its progress; the command line draws it, a library user may ignore it."""

from typing import Protocol


class Progress(Protocol):
    """Told of one step after the other."""

    def begin(self, label: str, total: int | None, unit: str = "bytes") -> None:
        """A step begins; `total` is its size where that is known, in the unit. An earlier step has ended."""

    def advance(self, amount: int) -> None:
        """So much more is done; negative where the step starts over."""

    def note(self, text: str) -> None:
        """One sentence that the user may want to see, between or within steps."""


class SilentProgress:
    """Says nothing."""

    def begin(self, label: str, total: int | None, unit: str = "bytes") -> None:
        """Ignored."""

    def advance(self, amount: int) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""
