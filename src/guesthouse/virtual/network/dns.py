"""The name server that guests have: knows the names of this network, asks the host's resolvers for all others.

What an answer had is remembered for the egress rules. A question goes on as it came, over UDP or TCP as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from guesthouse.virtual.network import dns_message as wire
from guesthouse.virtual.network.dns_stream import StreamQuery
from guesthouse.virtual.network.egress import Egress
from guesthouse.virtual.network.names import Names
from guesthouse.virtual.network.outside import Datagrams, Outside, Problem
from guesthouse.virtual.network.timers import Timers

PATIENCE = 2.0
"""Seconds that a resolver has before the next one is asked."""

ROUNDS = 2
MOST_PENDING = 256
Resolver: TypeAlias = tuple[bytes, int]
"""Address and port."""

Reply: TypeAlias = Callable[[bytes], None]


class NameServer:
    """Messages in, messages out, sooner or later or never."""

    def __init__(
        self,
        timers: Timers,
        outside: Outside,
        egress: Egress,
        names: Names,
        resolvers: Sequence[Resolver],
        local: Mapping[str, Sequence[bytes]],
        domain: str,
    ) -> None:
        """`local` gives the addresses of names; below `domain` there are no others."""
        self.timers = timers
        self.outside = outside
        self._egress = egress
        self._names = names
        self.resolvers = list(resolvers)
        self._local = {name.lower(): list(addresses) for name, addresses in local.items()}
        self._reverse = {
            wire.reverse_name(address): name
            for name, addresses in reversed(self._local.items())
            for address in addresses
        }
        self._domain = domain
        self._pending: dict[object, None] = {}

    @property
    def pending(self) -> int:
        """How many questions wait for an answer."""
        return len(self._pending)

    def ask(self, message: bytes, reply: Reply, stream: bool = False) -> None:
        """A question of the guest; what does not even have a header is ignored."""
        if len(message) < wire.SIZE:
            return
        question = wire.read_question(message)
        if question is None or question.flags & (wire.RESPONSE | wire.OPCODE):
            if not wire.HEADER.unpack_from(message)[1] & wire.RESPONSE:
                reply(wire.malformed(message))
            return
        answer = self._own(message, question)
        if answer is None and not self._egress.allows_question(question.name, self.timers.now):
            answer = wire.reply(message, question, wire.REFUSED)
        if answer is None and (not self.resolvers or len(self._pending) >= MOST_PENDING):
            answer = wire.reply(message, question, wire.SERVER_FAILURE)
        if answer is not None:
            reply(answer)
        elif stream:
            self._keep(StreamQuery(self, message, question, reply))
        else:
            self._keep(_Query(self, message, question, reply))

    def _keep(self, query: _Query | StreamQuery) -> None:
        self._pending[query] = None
        query.begin()

    def _own(self, message: bytes, question: wire.Question) -> bytes | None:
        """The answer to what is of this network."""
        name = question.name
        if name in self._reverse:
            records = (
                [(wire.PTR, wire.encoded_name(self._reverse[name]))] if question.kind in (wire.PTR, wire.ANY) else []
            )
            return wire.reply(message, question, wire.NO_ERROR, records)
        if name in self._local:
            kinds = {4: wire.A, 16: wire.AAAA}
            found = [(kinds[len(address)], address) for address in self._local[name]]
            records = [record for record in found if question.kind in (record[0], wire.ANY)]
            return wire.reply(message, question, wire.NO_ERROR, records)
        if self._domain and (name == self._domain or name.endswith("." + self._domain)):
            code = wire.NO_ERROR if name == self._domain else wire.NO_SUCH_NAME
            return wire.reply(message, question, code)
        return None

    def finished(self, query: object) -> None:
        """For queries: this one is answered, or given up."""
        self._pending.pop(query, None)

    def learn(self, answer: bytes, question: wire.Question) -> None:
        """For queries: remember what an answer had."""
        for address, ttl in wire.addresses(answer, question):
            self._names.remember(question.name, address, ttl, self.timers.now)


class _Query:
    """A question on its way over UDP, from a port that nobody guesses, with a number that nobody does."""

    def __init__(self, server: NameServer, message: bytes, question: wire.Question, reply: Reply) -> None:
        self._server = server
        self._message = message
        self._question = question
        self._reply = reply
        self._tries = 0
        self._number = b""
        self._sockets: list[Datagrams] = []
        self._timer = server.timers.timer(self._try)

    def begin(self) -> None:
        self._try()

    def _try(self) -> None:
        server = self._server
        while self._tries < ROUNDS * len(server.resolvers):
            address, port = server.resolvers[self._tries % len(server.resolvers)]
            self._tries += 1
            self._close()
            self._number = server.outside.random(2)
            datagrams = server.outside.datagrams(4 if len(address) == 4 else 6, self._received, self._bounced)
            if datagrams is None:
                continue
            self._sockets.append(datagrams)
            if datagrams.send(self._number + self._message[2:], address, port) is None:
                self._timer.set(server.timers.now + PATIENCE)
                return
        self._end(wire.reply(self._message, self._question, wire.SERVER_FAILURE))

    def _received(self, data: bytes, address: bytes, port: int) -> None:
        server = self._server
        asked = server.resolvers[(self._tries - 1) % len(server.resolvers)]
        found = wire.read_question(data)
        question = self._question
        if (address, port) != asked or data[:2] != self._number or found is None or not found.flags & wire.RESPONSE:
            return
        if (found.name, found.kind) != (question.name, question.kind):
            return
        server.learn(data, found)
        self._end(self._message[:2] + data[2:])

    def _bounced(self, address: bytes, port: int, problem: Problem) -> None:
        self._timer.set(self._server.timers.now)

    def _end(self, answer: bytes) -> None:
        self._close()
        self._timer.drop()
        self._server.finished(self)
        self._reply(answer)

    def _close(self) -> None:
        for datagrams in self._sockets:
            datagrams.close()
        self._sockets.clear()
