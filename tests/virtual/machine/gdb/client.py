"""The debugger's side of the remote protocol, as little of it as the tests need, and machines to speak to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 20


def packed(payload: bytes) -> bytes:
    """A packet."""
    return b"$" + payload + b"#%02x" % (sum(payload) % 256)


class RemoteClient:
    """Speaks to HOST:PORT; `ask` gives the answer's payload."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        self._buffer = b""
        self._acknowledges = True

    def send(self, payload: bytes) -> None:
        self.socket.sendall(packed(payload))

    def interrupt(self) -> None:
        self.socket.sendall(b"\x03")

    def receive(self) -> bytes:
        """The next packet's payload; checks its sum and acknowledges it."""
        while self._buffer.count(b"#") == 0 or len(self._buffer) < self._buffer.index(b"#") + 3:
            data = self.socket.recv(65536)
            assert data, f"the connection is closed behind {self._buffer!r}"
            self._buffer += data
        end = self._buffer.index(b"#")
        start = self._buffer.index(b"$")
        assert self._buffer[:start].strip(b"+") == b""
        payload, check = self._buffer[start + 1 : end], self._buffer[end + 1 : end + 3]
        self._buffer = self._buffer[end + 3 :]
        assert int(check, 16) == sum(payload) % 256
        if self._acknowledges:
            self.socket.sendall(b"+")
        return payload

    def ask(self, payload: bytes) -> bytes:
        self.send(payload)
        return self.receive()

    def no_acknowledgements(self) -> None:
        assert self.ask(b"QStartNoAckMode") == b"OK"
        self._acknowledges = False

    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(b"p%x" % number).decode()), "little")

    def monitor(self, text: str) -> str:
        """What a `monitor` command shows."""
        self.send(b"qRcmd," + text.encode().hex().encode())
        shown = ""
        while (answer := self.receive()) != b"OK":
            assert answer[:1] == b"O"
            shown += bytes.fromhex(answer[1:].decode()).decode()
        return shown

    @property
    def closed(self) -> bool:
        """Whether the other side hangs up now."""
        try:
            return not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


@contextmanager
def connected(address: str) -> Iterator[RemoteClient]:
    client = RemoteClient(address)
    try:
        yield client
    finally:
        client.close()
