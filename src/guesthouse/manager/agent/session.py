"""The conversation with a guest's agent, without any input or output of its own.

`receive` takes what the guest sends, `take_output` gives what is to be sent to it. The guest is not believed: what no
agent of ours would say ends the conversation, in bounded memory and without an exception.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import msgspec

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.command import OUTPUT_WINDOW, Listener, RemoteCommand, Start
from guesthouse.manager.agent.frames import MARKED, Frame, FrameReader, packed

NONCE = struct.Struct("<Q")
READY = struct.Struct("<Q36s")
BOOT_ID = re.compile(r"[0-9a-f-]{36}")
MOST_CHANNEL = (1 << 32) - 1
MOST_HELLOS = 8
RESTARTED = "the guest's agent has started again"
CONFUSED = "the guest's agent does not keep to the protocol"
CLOSED = "the guest's agent is gone"


class AgentReady(msgspec.Struct, frozen=True):
    """What the agent says of itself: the protocol's version, and the guest's boot id (one a start; "" if not known)."""

    version: int
    boot_id: str


class AgentSession:
    """One conversation; one thread at a time uses it.

    `ready` is None until the agent has answered. `problem` says why the conversation is over, "" while it goes on.
    """

    def __init__(self, nonce: int, *, fresh: bool = False, changed: Callable[[], None] = lambda: None) -> None:
        """`nonce`: 64 random bits. `fresh`: nobody has spoken to this guest since its start. `changed`: of `ready`."""
        self._nonce = nonce
        self._changed = changed
        self._reader = FrameReader()
        self._output = bytearray()
        self._commands: dict[int, RemoteCommand] = {}
        self._pings: dict[int, Callable[[], None]] = {}
        self._channels = 0
        self._hellos = 1
        self.ready: AgentReady | None = None
        self.problem = ""
        self._hello = packed(protocol.HELLO, 0, 0, NONCE.pack(nonce))
        self._send((b"" if fresh else protocol.PADDING) + protocol.MARK + self._hello)

    def _send(self, data: bytes) -> None:
        if not self.problem:
            self._output += data

    def take_output(self) -> bytes:
        """What is to be sent to the guest now."""
        data = bytes(self._output)
        self._output.clear()
        return data

    @property
    def commands(self) -> list[RemoteCommand]:
        """Those that have not finished."""
        return list(self._commands.values())

    # --- what the caller asks for -------------------------------------------------------------------------------------

    def start(self, start: Start, listener: Listener) -> RemoteCommand:
        """Have a command started; where that can't be, it comes back lost."""
        self._channels = self._channels % MOST_CHANNEL + 1
        command = RemoteCommand(self._channels, start, listener, self._send)
        record = start.record()
        if self.problem or self.ready is None:
            command.lost = self.problem or "the guest's agent is not ready"
            return command
        self._commands[command.channel] = command
        pieces = [record[i : i + protocol.MOST_PAYLOAD] for i in range(0, len(record), protocol.MOST_PAYLOAD)]
        for piece in pieces[:-1]:
            self._send(packed(protocol.ARGUMENTS, command.channel, 0, piece))
        self._send(packed(protocol.START, command.channel, start.flags, pieces[-1]))
        self._send(packed(protocol.OUTPUT_CREDIT, command.channel, OUTPUT_WINDOW))
        if start.terminal is None:
            self._send(packed(protocol.ERRORS_CREDIT, command.channel, OUTPUT_WINDOW))
        return command

    def drop(self, command: RemoteCommand) -> None:
        """Kill a command that still runs, and hear no more of it."""
        if self._commands.pop(command.channel, None) is not None:
            self._send(packed(protocol.CLOSE, command.channel))
            command.lose("it was dropped")

    def ping(self, answered: Callable[[], None]) -> None:
        """Have `answered` called when the agent has answered."""
        number = self._channels = self._channels % MOST_CHANNEL + 1
        self._pings[number] = answered
        self._send(packed(protocol.PING, number))

    def shut_down(self, *, reboot: bool = False) -> None:
        """Ask the guest to switch off cleanly, or to start again."""
        self._send(packed(protocol.SHUTDOWN, 0, protocol.REBOOT if reboot else protocol.POWER_OFF))

    def close(self, why: str = CLOSED) -> None:
        """Nothing more will come from the guest."""
        if not self.problem:
            self.problem = why
            self._output.clear()
            self._lose_all(why)
            self._changed()

    def _lose_all(self, why: str) -> None:
        lost, self._commands = self._commands, {}
        self._pings.clear()
        for command in lost.values():
            command.lose(why)

    # --- what the guest says ------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what the guest has sent."""
        self._reader.add(data)
        while not self.problem and (frame := self._reader.take()) is not None:
            if frame is MARKED:
                self._begin_again()
            elif not self._hear(frame):
                self.close(CONFUSED)
        if self.ready is not None and self._reader.lost and not self.problem:
            self.close(CONFUSED)

    def _begin_again(self) -> None:
        """A mark: the answer to ours, or an agent that has just started."""
        if self.ready is not None:
            self.close(RESTARTED)

    def _hear(self, frame: Frame) -> bool:
        """Take one frame; False where it makes no sense."""
        if frame.kind == protocol.READY:
            return self._hear_ready(frame)
        if self.ready is None:
            return True  # said to somebody before us
        if frame.kind == protocol.PONG:
            answered = self._pings.pop(frame.channel, None)
            if answered is not None:
                answered()
            return answered is not None
        command = self._commands.get(frame.channel)
        if command is None:
            return frame.channel <= self._channels  # of one that was dropped
        understood = command.hear(frame.kind, frame.argument, frame.payload)
        if command.finished:
            self._commands.pop(frame.channel, None)
        return understood

    def _hear_ready(self, frame: Frame) -> bool:
        if len(frame.payload) != READY.size:
            return False
        nonce, boot_id = READY.unpack(frame.payload)
        if self.ready is not None:
            return bool(nonce == self._nonce)  # an answer to the second hello
        if nonce == self._nonce:
            text = boot_id.decode("latin-1")
            self.ready = AgentReady(frame.argument, text if BOOT_ID.fullmatch(text) else "")
            self._changed()
        elif nonce == 0 and self._hellos < MOST_HELLOS:
            self._hellos += 1
            self._send(self._hello)  # it has just started, and may not have had its port open for our first one
        return True
