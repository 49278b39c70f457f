"""What `run` and its worker say to each other, as messages; bytes of the console or a command go through pipes."""

from typing import Any, TypeAlias

import msgspec

from guesthouse.guest.definition import Share
from guesthouse.guest.guest_file import Disk, Network
from guesthouse.manager.profile import Profile, Sampling


class GdbPort(msgspec.Struct, frozen=True):
    """Where debuggers find the guest; with `wait` it starts once one has come and let it go."""

    host: str
    port: int
    wait: bool = False


class Plan(msgspec.Struct, frozen=True, tag="plan"):
    """Everything that decides a run; paths are opened by the worker, "" is none.

    `raw` lets the kernel be code without any header. `memory` is in bytes. `seed` makes randomness repeatable.
    `reboot` false ends the run where the guest restarts. `command` holds the words of a command for the guest's
    agent (docs/guest-agent.md). `held` means that input is only given to the guest once the message `Begin` says how
    much there is (see `--clock instructions`). `newline` ends trace lines on standard error.
    `profile` asks for samples. `agent` names the socket at which the guest's agent is to be found.
    """

    kernel: str = ""
    raw: bool = False
    builtin: str = ""
    initrd: str = ""
    append: str = ""
    firmware: str = ""
    disks: tuple[Disk, ...] = ()
    shares: tuple[Share, ...] = ()
    vsock: str = ""
    balloon: bool = False
    memory: int = 512 << 20
    cpus: int = 1
    bus: str = "mmio"
    engine: str = "auto"
    clock: str = "host"
    seed: int | None = None
    reboot: bool = True
    command: tuple[bytes, ...] | None = None
    trace: tuple[str, ...] = ()
    trace_file: str = ""
    signature: str = ""
    signature_granularity: int = 4
    gdb: GdbPort | None = None
    network: Network = Network()
    name: str = ""
    agent: str = ""
    newline: str = "\n"
    profile: Sampling | None = None


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The guest may start; `input` is there from its first instruction on, more may come through the pipe."""

    input: bytes = b""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End the run now, and still give the statistics."""


class Signal(msgspec.Struct, frozen=True, tag="signal"):
    """Send a signal, named without SIG, to the command in the guest."""

    name: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The machine is built and confined (measure -> "" or why it does not hold); the guest waits for `Begin`."""

    confinement: dict[str, str]


class Note(msgspec.Struct, frozen=True, tag="note"):
    """One sentence that the user should see."""

    text: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The guest has ended by itself, or by `Stop`: the run's status, and what to say about it ("" for nothing).

    `signature` is what `--signature` asked for; None where that was not asked or the program has none. `profile` is
    what the plan asked for.
    """

    status: int
    text: str = ""
    statistics: dict[str, Any] = {}
    signature: str | None = None
    profile: Profile | None = None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """We failed: one sentence, and the traceback where it is a defect of ours."""

    text: str
    traceback: str = ""


ToWorker: TypeAlias = Plan | Begin | Stop | Signal
FromWorker: TypeAlias = Ready | Note | Ended | Failed

ENCODER = msgspec.msgpack.Encoder()
TO_WORKER = msgspec.msgpack.Decoder(ToWorker)
FROM_WORKER: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
