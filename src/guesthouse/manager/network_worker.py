"""The process of a guest's network: frames on one side, the host's sockets on the other, and nothing else in reach.

It opens the ports that are forwarded, confines itself, and serves until the guest's device, or who began it, is gone.
Run by `manager.network`.
"""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.channels import Messages
from guesthouse.host.confinement import confine
from guesthouse.host.network_loop import NetworkLoop
from guesthouse.host.network_ports import GuestLink, Listener, UdpPort, bind, most_sockets
from guesthouse.host.network_sockets import HostNetwork
from guesthouse.host.resolvers import host_resolvers
from guesthouse.host.worker_process import whole_life
from guesthouse.manager.network_protocol import (
    ENCODER,
    TO_NETWORK,
    FromNetwork,
    NetworkFailed,
    NetworkReady,
    Unsaid,
)
from guesthouse.virtual.network.egress import Refusal
from guesthouse.virtual.network.plan import Forward, NetworkPlan
from guesthouse.virtual.network.stack import Stack, parse_resolver

LONGEST_WAIT = 60.0
MOST_SAID = 50
"""Refusals told in a second; a guest may be refused as often as it likes."""

MOST_UNHEARD = 1 << 16
"""Bytes of refusals that wait for a listener."""


class NetworkWorker:
    """One guest's network, from the plan to the end."""

    def __init__(self, control: int, link: int) -> None:
        self._loop = NetworkLoop(self._woken)
        self._messages = Messages(self._loop, control, self._on_plan, lambda: None)
        self._link_descriptor = link
        self._link: GuestLink | None = None
        self._stack: Stack | None = None
        self._over = False
        self._said = 0
        self._said_since = 0.0
        self._unsaid = 0

    def serve(self) -> None:
        """Until there is nobody left to serve."""
        while not self._messages.ended and not (self._over and self._messages.sent):
            stack = self._stack
            wait = LONGEST_WAIT
            if stack is not None:
                stack.flush()  # what finds no room goes on when the link says so
                wait = min(wait, max(0.0, stack.next() - time.monotonic()))
            if self._unsaid:
                wait = min(wait, 1.0)
            self._loop.turn(wait)
            self._catch_up()
        if self._stack is not None:
            self._stack.close()

    def _woken(self) -> None:
        if self._stack is not None:
            self._stack.advance(time.monotonic())

    def _send(self, message: FromNetwork) -> None:
        self._messages.send(ENCODER.encode(message))

    # --- the beginning ------------------------------------------------------------------------------------------------

    def _on_plan(self, data: bytes) -> None:
        if self._stack is not None:
            return
        try:
            self._begin(TO_NETWORK.decode(data))
        except UserError as error:
            self._fail(NetworkFailed(str(error)))
        except Exception as error:
            self._fail(NetworkFailed(f"{type(error).__name__}: {error}", traceback.format_exc()))

    def _fail(self, failure: NetworkFailed) -> None:
        self._send(failure)
        self._over = True

    def _begin(self, plan: NetworkPlan) -> None:
        most = most_sockets()
        plan = msgspec.structs.replace(plan, connections=min(plan.connections, most * 3 // 4))
        resolvers = [parse_resolver(text) for text in plan.resolvers or host_resolvers()]
        refused = self._refused if plan.log else lambda refusal: None
        link = self._link = GuestLink(
            self._loop, self._link_descriptor, self._received, lambda: None, self._on_device_gone
        )
        stack = Stack(plan, link.send, HostNetwork(self._loop), resolvers, refused)
        stack.advance(time.monotonic())
        forwards = [self._open(stack, forward) for forward in plan.forwards]
        confinement = confine(networking=True)
        self._stack = stack
        self._send(NetworkReady(tuple(forwards), confinement))

    def _open(self, stack: Stack, forward: Forward) -> Forward:
        """Wait for others at a port; the forward with the number that it has got."""
        sockets = bind(forward.host, forward.host_port, forward.protocol)
        forward = msgspec.structs.replace(forward, host_port=sockets[0].getsockname()[1])
        for opened in sockets:
            if forward.protocol == "tcp":
                Listener(self._loop, opened, partial(stack.accepted, forward))
            else:
                UdpPort(self._loop, opened, partial(stack.visited, forward))
        return forward

    # --- what happens -------------------------------------------------------------------------------------------------

    def _received(self, message: memoryview) -> None:
        if self._stack is not None:
            self._stack.receive(message)

    def _on_device_gone(self) -> None:
        self._over = True

    def _refused(self, refusal: Refusal) -> None:
        if time.monotonic() - self._said_since >= 1:
            self._said, self._said_since = 0, time.monotonic()
        self._said += 1
        if self._said > MOST_SAID or self._messages.waiting > MOST_UNHEARD:
            self._unsaid += 1
            return
        self._send(msgspec.structs.replace(refusal, time=time.time()))

    def _catch_up(self) -> None:
        if self._unsaid and time.monotonic() - self._said_since >= 1 and self._messages.waiting < MOST_UNHEARD:
            self._send(Unsaid(self._unsaid))
            self._unsaid = 0


def main(descriptors: Sequence[int]) -> None:
    """Serve with these descriptors (control, link), and end without ceremony."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    with whole_life(), suppress(BrokenPipeError):
        NetworkWorker(*descriptors).serve()


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:3]])
