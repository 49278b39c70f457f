"""The machine's console as Python sees it: what the guest has written, and writing to it."""

from __future__ import annotations

import re
from collections.abc import Callable

from guesthouse.errors import UserError
from guesthouse.virtual.devices.wires import CharacterBackend
from guesthouse.virtual.machine.input import Input
from guesthouse.virtual.machine.stop import Reason, Stop

KEPT = 1 << 22
"""Bytes of output kept; the older half goes when they are full."""
SENT_AT_ONCE = 4096
LONGEST_LINE = 1000
PANIC = b"Kernel panic - not syncing"

Wanted = str | re.Pattern[str]


class NotSeen(UserError):
    """The text that `expect` waited for did not come; `stop` says what came instead."""

    def __init__(self, message: str, stop: Stop) -> None:
        super().__init__(message)
        self.stop = stop


class Console:
    """Output is kept for `expect`, and handed on to `sink` in pieces, at the latest when the guest pauses."""

    def __init__(self, sink: CharacterBackend | None, run: Callable[..., Stop]) -> None:
        self.sink = sink
        self.input: Input
        self.panic = ""
        self.changed = False
        self._run = run
        self._kept = bytearray()
        self._dropped = 0
        self._seen = 0  # of all output: how far `expect` has read
        self._scanned: tuple[str, int] = ("", 0)  # text looked for, and of all output: where it may begin
        self._unsent = bytearray()

    @property
    def unsent(self) -> bool:
        """Whether there is output that has not been handed on."""
        return bool(self._unsent)

    # --- the machine's side -------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Take the guest's output; called by the machine's thread."""
        self._kept += data
        self._unsent += data
        self.changed = True
        if b"\n" in data:
            self._look_for_panic(data)
        if len(self._unsent) >= SENT_AT_ONCE:
            self.flush()
        if len(self._kept) > KEPT:
            self._dropped += KEPT // 2
            del self._kept[: KEPT // 2]

    def _look_for_panic(self, data: bytes) -> None:
        start = max(0, len(self._kept) - len(data) - LONGEST_LINE)
        at = self._kept.find(PANIC, start)
        if at >= 0 and not self.panic:
            self.panic = self._kept[at:].split(b"\n", 1)[0].decode("utf-8", "replace").strip()

    def flush(self) -> None:
        """Hand on what has come."""
        if self._unsent:
            data = bytes(self._unsent)
            self._unsent.clear()
            if self.sink is not None:
                self.sink.write(data)

    def find(self, wanted: Wanted, *, complete: bool = True) -> str | None:
        """The text from where the last search ended to the end of what is wanted, None where that is not there yet.

        A pattern is looked for only in `complete` output, when the guest has ended a line or pauses.
        """
        start = max(0, self._seen - self._dropped)
        if isinstance(wanted, str):
            data = wanted.encode()
            known, scanned = self._scanned
            first = max(start, scanned - self._dropped) if known == wanted else start
            at = self._kept.find(data, first)
            end = at + len(data) if at >= 0 else -1
            self._scanned = (wanted, self._dropped + max(start, len(self._kept) - len(data) + 1))
        elif complete or self._kept.endswith(b"\n"):
            match = re.compile(wanted.pattern.encode(), wanted.flags & ~re.UNICODE).search(self._kept, start)
            end = match.end() if match else -1
        else:
            end = -1
        if end < 0:
            return None
        self._seen = self._dropped + end
        return self._kept[start:end].decode("utf-8", "replace")

    # --- the user's side ----------------------------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """What the guest has written, the last millions of characters of it."""
        return self._kept.decode("utf-8", "replace")

    def write(self, text: str | bytes) -> None:
        """Type `text`; the guest gets it as it reads. From any thread."""
        self.input.write(text.encode() if isinstance(text, str) else bytes(text))

    def expect(self, wanted: Wanted, timeout: float | None = 60.0) -> str:
        """Run the machine until the console shows a text or a match of a compiled pattern.

        Searches behind what the last `expect` returned, and returns the text up to and with the match. `timeout` counts
        seconds of the host. Raises NotSeen where the time is up or the machine stops for another reason.
        """
        stop = self._run(timeout=timeout, until=wanted)
        if stop.reason is Reason.TEXT:
            return stop.text
        shown = wanted if isinstance(wanted, str) else wanted.pattern
        tail = self._kept[-300:].decode("utf-8", "replace")
        raise NotSeen(f"The console did not show {shown!r} ({stop.reason.value}); it ends with: {tail!r}", stop)
