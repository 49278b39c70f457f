"""Names for what a profile has sampled: functions, address spaces, and stacks as rows of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from guesthouse.guest.symbols import Symbols
from guesthouse.manager.profile import Profile, Sample

UNKNOWN = "[unknown]"


class ProfileNames:
    """What is called how: `files` come first, then the tables that the guest itself had."""

    def __init__(self, profile: Profile, files: Sequence[Symbols] = ()) -> None:
        self._names = profile.names
        self._processes = profile.processes
        self._files = files
        spaces = Counter[int]()
        for sample in profile.samples:
            if sample.mode == 0:
                spaces[sample.space] += sample.weight
        self._users = {space: number for number, (space, _) in enumerate(spaces.most_common(), 1)}

    def symbol(self, address: int) -> tuple[str, int] | None:
        """The symbol that an address lies behind, and how many bytes; None where nobody names it."""
        for file in self._files:
            if found := file.find(address):
                return found
        return self._names.get(address)

    def function(self, sample: Sample) -> str:
        """The function that was sampled; a process of the guest's where its program is not known."""
        found = self.symbol(sample.stack[0])
        if found:
            return found[0]
        return self.user(sample) if sample.mode == 0 else UNKNOWN

    def user(self, sample: Sample) -> str:
        """The process of a sample in user mode: its program's name; else numbers, the busiest first."""
        name = self._processes.get(sample.space)
        return f"[user {name}]" if name else f"[user process {self._users.get(sample.space, 0)}]"

    def place(self, sample: Sample) -> str:
        """The place of a sample, as function and bytes behind its beginning."""
        found = self.symbol(sample.stack[0])
        return f"{found[0]}+{found[1]:#x}" if found else f"{self.function(sample)} {sample.stack[0]:#x}"

    def stack(self, sample: Sample) -> tuple[str, ...]:
        """Who called whom, outermost first; Python's work for the guest lies on top of who caused it."""
        callers = [found[0] for address in reversed(sample.stack[1:]) if (found := self.symbol(address))]
        names = [*callers, self.function(sample)]
        if sample.mode == 0 and names[0] != self.user(sample):
            names.insert(0, self.user(sample))
        return (*names, f"[{sample.cause}]") if sample.cause else tuple(names)
