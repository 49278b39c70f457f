"""The domain name system over TCP (RFC 7766): the guest's connections to our name server, and ours to a resolver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from guesthouse.virtual.network import dns_message as wire
from guesthouse.virtual.network.addresses import Buffer
from guesthouse.virtual.network.outside import Broken, Problem, Stream, StreamUser

if TYPE_CHECKING:
    from guesthouse.virtual.network.dns import NameServer

PATIENCE = 5.0
MOST_WAITING = 64 << 10
"""Bytes of answers that nobody fetches, beyond which no question is taken."""


class NameStream:
    """A stream whose other end is our name server: what a connection of the guest's to its port 53 is made with."""

    def __init__(self, server: NameServer, user: StreamUser) -> None:
        self._server = server
        self._user = user
        self._asked = bytearray()
        self._answers = bytearray()
        self._open = 0
        self._finished = False
        self._closed = False
        self._greeting = server.timers.timer(user.connected)
        self._greeting.set(server.timers.now)

    def receive(self, most: int) -> bytes | None:
        """Answers, each with its length in front."""
        if not self._answers:
            return b"" if self._finished and not self._open else None
        data = bytes(self._answers[:most])
        del self._answers[:most]
        return data

    def send(self, data: Buffer) -> int:
        """Questions, each with its length in front."""
        self._asked += data
        while len(self._asked) >= 2 and not self._closed:
            size = self._asked[0] << 8 | self._asked[1]
            if len(self._asked) < 2 + size:
                break
            message = bytes(self._asked[2 : 2 + size])
            del self._asked[: 2 + size]
            if size < wire.SIZE or len(self._answers) > MOST_WAITING:
                raise Broken
            self._open += 1
            self._server.ask(message, self._answered, stream=True)
        return len(data)

    def _answered(self, message: bytes) -> None:
        self._open -= 1
        if not self._closed:
            self._answers += len(message).to_bytes(2, "big") + message
            self._user.readable()

    def finish(self) -> None:
        """No more questions."""
        self._finished = True
        self._user.readable()

    def close(self) -> None:
        """Nobody waits for answers any more."""
        self._closed = True
        self._greeting.drop()

    reset = close


class StreamQuery:
    """A question on its way to the first resolver that takes the connection."""

    def __init__(
        self, server: NameServer, message: bytes, question: wire.Question, reply: Callable[[bytes], None]
    ) -> None:
        self._server = server
        self._message = message
        self._question = question
        self._reply = reply
        self._tries = 0
        self._stream: Stream | None = None
        self._answer = bytearray()
        self._timer = server.timers.timer(self.begin)

    def begin(self) -> None:
        """Try the next resolver."""
        server = self._server
        self._answer.clear()
        while self._stop() < len(server.resolvers):
            address, port = server.resolvers[self._tries]
            self._tries += 1
            made = server.outside.connect(address, port, self)
            if not isinstance(made, Problem):
                self._stream = made
                self._timer.set(server.timers.now + PATIENCE)
                return
        self._end(wire.reply(self._message, self._question, wire.SERVER_FAILURE))

    def _stop(self) -> int:
        if self._stream is not None:
            self._stream.reset()
            self._stream = None
        return self._tries

    def connected(self) -> None:
        """Ask."""
        try:
            if self._stream is not None:
                self._stream.send(len(self._message).to_bytes(2, "big") + self._message)
        except Broken:
            self._timer.set(self._server.timers.now)

    def failed(self, problem: Problem) -> None:
        """Ask the next."""
        self._timer.set(self._server.timers.now)

    def writable(self) -> None:
        """A question is short: it went at once."""

    def readable(self) -> None:
        """The answer, or a part of it."""
        try:
            while self._stream is not None and (data := self._stream.receive(0x10000)) is not None:
                self._answer += data
                if not data:
                    self._timer.set(self._server.timers.now)
                    return
                if len(self._answer) >= 2 and len(self._answer) >= 2 + (self._answer[0] << 8 | self._answer[1]):
                    self._take(bytes(self._answer[2 : 2 + (self._answer[0] << 8 | self._answer[1])]))
                    return
        except Broken:
            self._timer.set(self._server.timers.now)

    def _take(self, answer: bytes) -> None:
        question = wire.read_question(answer)
        if question is None or (question.name, question.number) != (self._question.name, self._question.number):
            self._timer.set(self._server.timers.now)
            return
        self._server.learn(answer, question)
        self._end(answer)

    def _end(self, answer: bytes) -> None:
        self._stop()
        self._timer.drop()
        self._server.finished(self)
        self._reply(answer)
