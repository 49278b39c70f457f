"""What a command and the process of a guest's network say to each other; frames have a socket of their own."""

from typing import TypeAlias

import msgspec

from guesthouse.virtual.network.egress import Refusal
from guesthouse.virtual.network.plan import Forward, NetworkPlan


class NetworkReady(msgspec.Struct, frozen=True, tag="ready"):
    """The ports are open, with the numbers they have got, and the process is confined (measure -> "" or why not)."""

    forwards: tuple[Forward, ...]
    confinement: dict[str, str]


class NetworkFailed(msgspec.Struct, frozen=True, tag="failed"):
    """It could not begin: one sentence, and the traceback where it is a defect of ours."""

    text: str
    traceback: str = ""


class Unsaid(msgspec.Struct, frozen=True, tag="unsaid"):
    """So many refusals were not told, as there were too many."""

    count: int


FromNetwork: TypeAlias = NetworkReady | NetworkFailed | Refusal | Unsaid

ENCODER = msgspec.msgpack.Encoder()
TO_NETWORK = msgspec.msgpack.Decoder(NetworkPlan)
FROM_NETWORK: msgspec.msgpack.Decoder[FromNetwork] = msgspec.msgpack.Decoder(FromNetwork)
