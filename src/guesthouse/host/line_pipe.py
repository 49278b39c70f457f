"""A pipe whose other end is read line by line on a thread of its own, and kept in a log."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from guesthouse.host.user_folders import make_folder, told_plainly

LONGEST_LINE = 1 << 16
PIECE = 1 << 16


@contextmanager
def line_pipe(log: Path, take: Callable[[str], None]) -> Iterator[int]:
    """The descriptor to write into; all that was written is in `log`, and `take` has had it, when the block is left.

    `take` is called on another thread with each line, without its end; what is longer than 64 KiB is cut up.
    """
    make_folder(log.parent)
    reader, writer = os.pipe()
    with told_plainly(f"write {log}"), open(log, "wb") as file:

        def read() -> None:
            rest = b""
            while data := os.read(reader, PIECE):
                file.write(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    take(line.decode("utf-8", "replace").rstrip("\r"))
                if len(rest) > LONGEST_LINE:
                    take(rest.decode("utf-8", "replace"))
                    rest = b""

        thread = threading.Thread(target=read, name="log")
        thread.start()
        try:
            yield writer
        finally:
            os.close(writer)
            thread.join()
            os.close(reader)
