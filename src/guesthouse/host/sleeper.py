"""A process that sleeps until it is first wanted, and is nobody's child: who never asks never pays for its start.

It is a shell that waits for a line and then becomes the program. The shell that began it ends at once, so nobody needs
to wait for it; it has a session of its own, no terminal, and none of its starter's descriptors. Where its socket is
closed without a line, it ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from guesthouse.host.connection import Connection

SCRIPT = 'exec 3<&0; { read -r go && exec "$@" 3<&-; } <&3 &'


def start_sleeper(module: str, arguments: Sequence[str]) -> Connection:
    """A Python module with these arguments, asleep, with the other end as its standard input; raises OSError."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            subprocess.run(
                ["/bin/sh", "-c", SCRIPT, "sleeper", sys.executable, "-P", "-m", module, *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=True,
            )
    except (OSError, subprocess.SubprocessError) as error:
        ours.close()
        raise error if isinstance(error, OSError) else OSError(str(error)) from None
    return Connection(ours, asleep=True)


def take_standard_input() -> socket.socket:
    """The other end, for the program that a sleeper became; what it starts inherits nothing, and holds no folder."""
    end = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir("/")
    return end
