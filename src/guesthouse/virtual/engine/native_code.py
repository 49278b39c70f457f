"""Where native code comes from: the persistent cache, else the compile process.

An object's name in the cache is a digest of all that decides its content: the descriptions, the engine, LLVM's version,
the host's processor, and what was asked for.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from guesthouse.errors import UserError
from guesthouse.host.cache import AuthenticatedCache, processor_identity
from guesthouse.host.child import Child

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
        self._next = 0
        self.waiting = 0

    def _process(self) -> Child:
        if self._child is None:
            self._child = Child(COMPILE_PROCESS)
            self._child.send({"kind": "open", "isa": self.isa, "folder": str(self.cache.folder), "digest": self.digest})
            self._answer(self._child.receive())
        return self._child

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "error" in message:
            raise UserError(f"native code could not be made: {message['error']}")
        return message

    def start(self) -> None:
        """Have the compile process ready before it is needed (and before the worker confines itself)."""
        self._process()

    def runtime(self) -> bytes:
        """The object with everything compiled ahead."""
        known = self.cache.get(f"{self.digest}.runtime")
        if known is not None:
            return known
        process = self._process()
        process.send({"kind": "runtime"})
        return bytes(self._answer(process.receive())["object"])

    # --- regions, made while the guest runs on ------------------------------------------------------------------------

    def request(self, work: dict[str, Any]) -> int:
        """Ask for a region; the answer comes from `finished` with the number given here."""
        self._next += 1
        self.waiting += 1
        self._process().send({"kind": "region", "id": self._next, **work})
        return self._next

    def finished(self, timeout: float = 0.0) -> Iterator[dict[str, Any]]:
        """Answers that have come, failed ones included (with `error`)."""
        while self.waiting and (message := self._process().poll(timeout)) is not None:
            self.waiting -= 1
            yield message

    def close(self) -> None:
        """End the compile process."""
        if self._child is not None:
            self._child.close()
            self._child = None
