"""Guesthouse: virtual machines in Python.

`from guesthouse import Machine` is the library; see `docs/python-api.md`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from guesthouse.errors import UserError
from guesthouse.version import __version__

if TYPE_CHECKING:
    from guesthouse.guest.definition import Share
    from guesthouse.manager.agent.agent import Agent, AgentError, AgentTimeout
    from guesthouse.manager.agent.machine_port import AgentPort
    from guesthouse.manager.images import image
    from guesthouse.virtual.machine.console import NotSeen
    from guesthouse.virtual.machine.hooks import Access
    from guesthouse.virtual.machine.machine import Machine
    from guesthouse.virtual.machine.network_port import NetworkPort
    from guesthouse.virtual.machine.stop import Reason, Stop

__all__ = [
    "Access",
    "Agent",
    "AgentError",
    "AgentPort",
    "AgentTimeout",
    "Machine",
    "NetworkPort",
    "NotSeen",
    "Reason",
    "Share",
    "Stop",
    "UserError",
    "__version__",
    "image",
]

# Found when first asked for, so that a process which needs one part (the compile service) does not load the others.
_PLACES = {
    "Access": "guesthouse.virtual.machine.hooks",
    "Agent": "guesthouse.manager.agent.agent",
    "AgentError": "guesthouse.manager.agent.agent",
    "AgentPort": "guesthouse.manager.agent.machine_port",
    "AgentTimeout": "guesthouse.manager.agent.agent",
    "Machine": "guesthouse.virtual.machine.machine",
    "NetworkPort": "guesthouse.virtual.machine.network_port",
    "NotSeen": "guesthouse.virtual.machine.console",
    "Reason": "guesthouse.virtual.machine.stop",
    "Share": "guesthouse.guest.definition",
    "Stop": "guesthouse.virtual.machine.stop",
    "image": "guesthouse.manager.images",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'guesthouse' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
