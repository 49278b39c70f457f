"""A progress that remembers what it was told."""


class Notes:
    """`steps` has (label, total, done) of each step."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None, int]] = []
        self.notes: list[str] = []

    def begin(self, label: str, total: int | None, unit: str = "bytes") -> None:
        """Another step."""
        self.steps.append((label, total, 0))

    def advance(self, amount: int) -> None:
        """More of the last one."""
        label, total, done = self.steps[-1]
        self.steps[-1] = (label, total, done + amount)

    def note(self, text: str) -> None:
        """A sentence."""
        self.notes.append(text)
