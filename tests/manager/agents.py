"""An agent played by a test, and the conversation with it."""

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.command import StreamName
from guesthouse.manager.agent.frames import Frame, FrameReader, packed
from guesthouse.manager.agent.session import NONCE, READY, AgentSession

BOOT_ID = b"01234567-89ab-cdef-0123-456789abcdef"


class Heard:
    """A listener that remembers, and grants at once what it was told to."""

    def __init__(self) -> None:
        self.written = {StreamName.OUTPUT: b"", StreamName.ERRORS: b""}
        self.changes = 0

    def output(self, stream: StreamName, data: bytes) -> None:
        self.written[stream] += data

    def changed(self) -> None:
        self.changes += 1


def frames(data: bytes) -> list[Frame]:
    """Everything in what was sent that is a frame."""
    reader = FrameReader()
    reader.lost = data.startswith(protocol.MARK) or data.startswith(protocol.PADDING)
    reader.add(data)
    found = []
    while (frame := reader.take()) is not None:
        found.append(frame)
    assert not reader._buffer
    return found


def ready(nonce: int, mark: bool = True) -> bytes:
    """What the agent answers."""
    frame = packed(protocol.READY, 0, protocol.VERSION, READY.pack(nonce, BOOT_ID))
    return (protocol.MARK if mark else b"") + frame


def session(nonce: int = 77) -> AgentSession:
    """A conversation that has begun."""
    begun = AgentSession(nonce, fresh=True)
    begun.receive(ready(nonce))
    assert begun.ready is not None
    assert frames(begun.take_output())[-1] == Frame(protocol.HELLO, 0, 0, NONCE.pack(nonce))
    return begun
