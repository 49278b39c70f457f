"""What a check of an image finds."""

from dataclasses import dataclass, field

MOST_SENTENCES = 100


@dataclass
class Report:
    """Counts as scripts know them, and a sentence about each finding, up to a hundred of them."""

    corruptions: int = 0
    leaks: int = 0
    corruptions_fixed: int = 0
    leaks_fixed: int = 0
    allocated: int = 0
    total: int = 0
    end: int = 0
    sentences: list[str] = field(default_factory=list)

    def corrupt(self, sentence: str) -> None:
        """Count what makes the disk read wrongly, now or later."""
        self.corruptions += 1
        self._say(sentence)

    def leak(self, sentence: str) -> None:
        """Count what only takes space."""
        self.leaks += 1
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        if len(self.sentences) < MOST_SENTENCES:
            self.sentences.append(sentence)
