"""The user's terminal: raw while a guest has it, and given back as it was whatever happens.

A guardian process, forked before the mode changes, waits on a pipe that the kernel closes when this process ends; so
the terminal comes back even after SIGKILL. Source: termios(3).
"""

import contextlib
import os
import signal
import termios
import tty
from collections.abc import Iterator
from types import FrameType

DONE = b"d"


def open_standard_streams() -> None:
    """Open the null device where a standard stream is closed, so that no other file gets its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one


def is_terminal(descriptor: int) -> bool:
    """Whether the descriptor is open on a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def terminal_size(descriptor: int) -> tuple[int, int]:
    """Columns and lines of a terminal; 80 by 24 where it does not know them."""
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Hold a terminal in raw mode: every key comes at once and as it is, output goes out unchanged.

    A stopped process that is continued makes it raw again, since the shell has set its own modes meanwhile.
    """
    saved = termios.tcgetattr(descriptor)
    guardian, pipe = _start_guardian(descriptor, saved)

    def again(number: int, frame: FrameType | None) -> None:
        tty.setraw(descriptor, termios.TCSADRAIN)

    previous = signal.signal(signal.SIGCONT, again)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        signal.signal(signal.SIGCONT, previous)
        _restore(descriptor, saved)
        with contextlib.suppress(OSError):
            os.write(pipe, DONE)
        os.close(pipe)
        os.waitpid(guardian, 0)


def _restore(descriptor: int, saved: list[object]) -> None:
    """Set the saved modes; a terminal that has hung up has none any more."""
    with contextlib.suppress(termios.error, OSError):
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)  # type: ignore[arg-type]


def _start_guardian(descriptor: int, saved: list[object]) -> tuple[int, int]:
    """Fork the process that restores the terminal when this one is gone; its id and the pipe that ties them."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(reader)
        return child, writer
    try:
        os.setsid()  # signals from the terminal do not reach it, and it may set modes in the background
        os.close(writer)
        if os.read(reader, 1) != DONE:
            _restore(descriptor, saved)
    finally:
        os._exit(0)


def terminal_environment(descriptor: int) -> list[str]:
    """TERM, COLUMNS and LINES of a terminal as `NAME=value`; empty where it is none."""
    if not is_terminal(descriptor):
        return []
    columns, rows = terminal_size(descriptor)
    kind = os.environ.get("TERM", "vt100")
    return [f"TERM={kind}" if kind.replace("-", "").isalnum() else "TERM=vt100", f"COLUMNS={columns}", f"LINES={rows}"]
