"""Sockets by which programs of one user find each other: files in a folder that is the user's alone."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from guesthouse.host.user_folders import make_folder, told_plainly

WAITING = 16


def listen_local(place: Path) -> socket.socket | None:
    """A listening socket at a place, for this user only; None where somebody listens there already."""
    make_folder(place.parent)
    if (other := connect_local(place)) is not None:
        other.close()
        return None
    with told_plainly(f"listen at {place}"):
        with suppress(FileNotFoundError):
            os.unlink(place)  # of one that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listener.bind(str(place))
        os.chmod(place, 0o600)
        listener.listen(WAITING)
        listener.setblocking(False)
    return listener


def connect_local(place: Path) -> socket.socket | None:
    """A connection to who listens at a place; None where nobody does."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        end.connect(str(place))
    except OSError:
        end.close()
        return None
    return end
