"""The process that has the host's sockets of one guest: confined, it carries connections on until it is left.

Run by `host.companion` with three descriptors: its socket, the one that listens and that one's folder. The first bytes
on the socket are the name that listens.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence

from guesthouse.host.answering import Incoming, allow_descriptors
from guesthouse.host.channels import CHUNK, Outlet
from guesthouse.host.confinement import confine_to_sockets
from guesthouse.host.guest_sockets import LONGEST_NAME, End, accept_end, dial_end
from guesthouse.host.loop import Loop
from guesthouse.host.worker_process import whole_life
from guesthouse.virtual.sockets.packets import LARGEST, MESSAGE, RESET, RESET_DONE, message
from guesthouse.virtual.sockets.relay import Relay

NAME = struct.Struct(f"<{LONGEST_NAME}s")
MOST_CONNECTIONS = 512
MOST_WAITING = 256 << 10
"""Bytes on their way to the guest behind which no more is heard of it: answers, as data stops long before."""
TURN = 64
"""Packets taken before the host's sockets get a turn."""


class Service:
    """The device's end and the host's, on one loop."""

    def __init__(self, link: int, listener: socket.socket, name: bytes, most: int) -> None:
        self._loop = Loop()
        self._link = link
        self._incoming = Incoming(link, MESSAGE.size, LARGEST)
        self._outlet = Outlet(self._loop, link, CHUNK, self._emptied)
        self._name = name
        self._relay = Relay(self._loop, self._outlet, self._dial, most)
        self._ended = False
        os.set_blocking(link, False)
        self._loop.on_readable(link, self._hear)
        self._loop.on_readable(listener.fileno(), lambda: self._relay.take_client(accept_end(listener)))

    def serve(self) -> None:
        """Do everything until the other side leaves."""
        while not self._ended and not self._outlet.broken:
            behind = self._incoming.more and self._listening
            self._loop.turn(0 if behind else None)
            if behind:
                self._hear()

    @property
    def _listening(self) -> bool:
        return len(self._outlet.buffer) < MOST_WAITING

    def _dial(self, port: int) -> End | None:
        return dial_end(b"%s_%d" % (self._name, port))

    def _hear(self) -> None:
        """Take some of the device's messages."""
        for _ in range(TURN):
            if not self._listening:
                self._loop.on_readable(self._link, None)
                return
            try:
                found = self._incoming.take()
            except BlockingIOError:
                return
            except OSError:
                found = None
            if found is None:
                self._ended = True
                return
            _, kind, serial = MESSAGE.unpack_from(found)
            if kind == RESET:
                self._relay.exchange.reset()
                self._outlet.write(message(RESET_DONE, serial))
            else:
                self._relay.exchange.receive(found[MESSAGE.size :])

    def _emptied(self) -> None:
        self._loop.on_readable(self._link, self._hear)
        self._relay.go_on()


def main(descriptors: Sequence[int]) -> None:
    """Carry connections on until the socket is closed, and end without ceremony."""
    link, listening, folder = descriptors
    with whole_life():
        name = NAME.unpack(os.read(link, NAME.size))[0].rstrip(b"\0")
        most = min(MOST_CONNECTIONS, allow_descriptors() // 2)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, listening)
        service = Service(link, listener, name, most)
        confine_to_sockets(folder)
        os.close(folder)
        service.serve()


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:4]])
