"""A port at which debuggers find a machine that runs in this process."""

from __future__ import annotations

from guesthouse.host.visitors import VisitorsThread, address_of, listen
from guesthouse.virtual.machine.gdb.debugger import Debugger


class DebuggerPort:
    """Listens until it is closed; a context manager. `address` is what follows `target remote` in gdb."""

    def __init__(self, debugger: Debugger, host: str, port: int) -> None:
        """Raises UserError where it can't listen there."""
        listener = listen(host, port)
        self.address = address_of(listener)
        self._thread = VisitorsThread(listener, debugger)

    def close(self) -> None:
        """Listen no more; a debugger that is there is let go, and so is the machine."""
        self._thread.close()

    def __enter__(self) -> DebuggerPort:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
