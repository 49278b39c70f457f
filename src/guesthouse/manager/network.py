"""A guest's user network: a process of its own, which the guest's device has a socket to."""

import os
import socket
import time
from collections.abc import Callable

from guesthouse.errors import UserError
from guesthouse.host.channels import Messages
from guesthouse.host.loop import Loop
from guesthouse.host.network_ports import link_pair
from guesthouse.host.worker_process import start_module, wait_or_kill
from guesthouse.manager.network_protocol import (
    ENCODER,
    FROM_NETWORK,
    FromNetwork,
    NetworkFailed,
    NetworkReady,
    Unsaid,
)
from guesthouse.virtual.network.egress import Refusal
from guesthouse.virtual.network.plan import Forward, NetworkPlan

WORKER, NAME = "guesthouse.manager.network_worker", "guest network"
START, GRACE = 15.0, 2.0
"""Seconds that the process may take to begin, and to end."""


class NetworkCrash(Exception):
    """The process failed by a defect of ours: one sentence, and its traceback in `details`."""

    def __init__(self, text: str, details: str = "") -> None:
        super().__init__(text)
        self.details = details


class NetworkProcess:
    """The handle of a network that runs. `device` is the device's end of the link: SOCK_SEQPACKET, see docs/network.md.

    Whoever passes `device` on closes it here, so that the network ends with the guest.
    """

    def __init__(self, plan: NetworkPlan, loop: Loop, heard: Callable[[Refusal | Unsaid], None]) -> None:
        self.device, link = link_pair()
        ours, theirs = socket.socketpair()
        self._heard = heard
        self._ready: NetworkReady | None = None
        self._failed: NetworkFailed | None = None
        self._loop = loop
        with link, theirs:
            given = (theirs.fileno(), link.fileno())
            for descriptor in given:
                os.set_inheritable(descriptor, True)
            self._process = start_module(WORKER, given, NAME)
        self._control = Messages(loop, ours.detach(), self._on_message, lambda: None)
        self._control.send(ENCODER.encode(plan))

    @property
    def died(self) -> bool:
        """Whether the process is gone, which it should not be before `stop`, or before the device is gone."""
        return self._control.ended

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """The forwarded ports, with the numbers that those of the host have got."""
        return self._ready.forwards if self._ready else ()

    @property
    def confinement(self) -> dict[str, str]:
        """Measure -> "" where it holds, else why it does not."""
        return self._ready.confinement if self._ready else {}

    def wait_until_ready(self) -> None:
        """Turn the loop until the network can be used; raises UserError for what the user can mend."""
        deadline = time.monotonic() + START
        while self._ready is None and self._failed is None and not self.died and time.monotonic() < deadline:
            self._loop.turn(max(0.0, deadline - time.monotonic()))
        if self._ready is not None:
            return
        failed = self._failed
        self.stop()
        if failed is not None and not failed.traceback:
            raise UserError(failed.text)
        if failed is not None:
            raise NetworkCrash(f"The guest's network could not begin: {failed.text}", failed.traceback)
        raise NetworkCrash("The guest's network could not begin: its process ended, or did not answer.")

    def _on_message(self, data: bytes) -> None:
        message: FromNetwork = FROM_NETWORK.decode(data)
        if isinstance(message, NetworkReady):
            self._ready = message
        elif isinstance(message, NetworkFailed):
            self._failed = message
        else:
            self._heard(message)

    def stop(self) -> int:
        """End the network, if it has not ended yet; the process's status, -n for signal n."""
        self.device.close()
        self._control.close()
        return wait_or_kill(self._process, GRACE)


def start_network(
    plan: NetworkPlan, loop: Loop, heard: Callable[[Refusal | Unsaid], None] = lambda message: None
) -> NetworkProcess:
    """Begin a user network and wait until its ports are open; `heard` is told by `loop` what the rules refused.

    Raises UserError for what the user can mend, and `NetworkCrash` for a defect of ours.
    """
    process = NetworkProcess(plan, loop, heard)
    process.wait_until_ready()
    return process
