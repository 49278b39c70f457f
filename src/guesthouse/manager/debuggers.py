"""The port of a run at which gdb finds its guest; imported only where `--gdb` is given."""

from __future__ import annotations

from guesthouse.host.loop import Loop
from guesthouse.host.visitors import Visitors, address_of, listen
from guesthouse.manager.protocol import GdbPort
from guesthouse.virtual.machine.machine import Machine


def open_to_debuggers(loop: Loop, machine: Machine, port: GdbPort) -> tuple[Visitors, str]:
    """Listen, on a loop that another thread than the guest's turns; and a sentence about it.

    To be called before the process confines itself. Raises UserError where the port can't be had.
    """
    listener = listen(port.host, port.port)
    held = "; the guest waits for it" if port.wait else ""
    visitors = Visitors(loop, listener, machine.debugger(wait=port.wait))
    return visitors, f"gdb finds the guest with `target remote {address_of(listener)}`{held}."
