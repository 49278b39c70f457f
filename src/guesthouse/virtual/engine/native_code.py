"""Where native code comes from: the persistent cache, else the compile process.

An object's name in the cache is a digest of all that decides its content: the descriptions, the engine, LLVM's version,
the host's processor, and what was asked for.
"""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.cache import AuthenticatedCache, processor_identity
from guesthouse.host.child import Child
from guesthouse.virtual.engine.stencils import Stencils

VIRTUAL = Path(__file__).resolve().parent.parent
DECIDING = ("spec", "isa", "engine", "memory")
COMPILE_PROCESS = "guesthouse.virtual.engine.compile_process"


def deciding_digest() -> str:
    """Digest of everything but the request that decides what native code looks like."""
    identity = (platform.machine(), metadata.version("llvmlite"), processor_identity())
    digest = hashlib.blake2b("\n".join(identity).encode(), digest_size=16)
    for folder in DECIDING:
        for path in sorted((VIRTUAL / folder).rglob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


class NativeCode:
    """Objects for one instruction set (`isa` names the module that describes it)."""

    def __init__(self, isa: str, folder: Path) -> None:
        self.isa = isa
        self.cache = AuthenticatedCache(folder)
        self.digest = hashlib.blake2b(f"{isa} {deciding_digest()}".encode(), digest_size=16).hexdigest()
        self._child: Child | None = None
        self._opened = False
        self._opening = False  # the answer to `open` has not been read: nobody waits for the process to start

    def _process(self) -> Child:
        child = self.start()
        if not self._opened:
            child.send({"kind": "open", "isa": self.isa, "folder": str(self.cache.folder), "digest": self.digest})
            self._opened = self._opening = True
        return child

    def _received(self) -> dict[str, Any]:
        process = self._process()
        if self._opening:
            self._opening = False
            self._answer(process.receive())
        found: dict[str, Any] = process.receive()
        return found

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "error" in message:
            raise UserError(f"native code could not be made: {message['error']}")
        return message

    def start(self) -> Child:
        """Have the compile process at hand, asleep (before the worker confines itself)."""
        if self._child is None:
            self._child = Child(COMPILE_PROCESS)
            if not self.cache.holds(f"{self.digest}.r-"):
                self._process()  # nothing of the guest's is translated yet: it will be needed soon
        return self._child

    def runtime(self) -> bytes:
        """The object with everything compiled ahead."""
        known = self.cache.get(f"{self.digest}.runtime")
        if known is not None:
            return known
        process = self._process()
        process.send({"kind": "runtime"})
        return bytes(self._answer(self._received())["object"])

    def stencils(self) -> Stencils:
        """The stencils of the instruction set."""
        known = self.cache.get(f"{self.digest}.stencils")
        if known is None:
            self._process().send({"kind": "stencils"})
            known = bytes(self._answer(self._received())["stencils"])
        return msgspec.msgpack.decode(known, type=Stencils)

    # --- regions, made while the guest runs on ------------------------------------------------------------------------

    def region_name(self, page: bytes, entry: int) -> str:
        """Name of a region in the cache: what decides its code."""
        what = hashlib.blake2b(page + bytes([entry & 0xFF, entry >> 8]), digest_size=16)
        return f"{self.digest}.r-{what.hexdigest()}"

    def known_region(self, name: str) -> dict[str, Any] | None:
        """A region from the persistent cache."""
        data = self.cache.get(name)
        return msgspec.msgpack.decode(data) if data is not None else None

    def request_region(self, name: str, page: bytes, entry: int, jumps_to: list[int]) -> None:
        """Ask for a region at page offset `entry`; `receive` gives the answer (`jumps_to`: see `RegionFormer.form`)."""
        self._process().send({"kind": "region", "name": name, "page": page, "entry": entry, "jumps_to": jumps_to})

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer; it may hold an `error`. Answers come in the order of the requests."""
        return self._received()

    def interrupt(self) -> None:
        """Have a thread that waits in `receive` come back with UserError; `close` must follow."""
        if self._child is not None:
            self._child.interrupt()

    def close(self) -> None:
        """End the compile process; the next request starts another one."""
        if self._child is not None:
            self._child.close()
            self._child = None
            self._opened = self._opening = False
