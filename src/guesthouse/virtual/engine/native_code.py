"""Where native code comes from: the persistent cache, else the compile service.

An object's name in the cache is a digest of all that decides its content: the descriptions, the engine, LLVM's version,
the host's processor, and what was asked for.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path
from typing import Any

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.cache import AuthenticatedCache, installed_version, processor_identity
from guesthouse.host.connection import Connection
from guesthouse.host.service_socket import PATIENCE, ServicePlace
from guesthouse.host.sleeper import start_sleeper
from guesthouse.virtual.engine.code_names import AHEAD, region_name, region_prefix, regions_by_page
from guesthouse.virtual.engine.region_store import get_region
from guesthouse.virtual.engine.stencils import Stencils

VIRTUAL = Path(__file__).resolve().parent.parent
DECIDING = ("spec", "isa", "engine", "memory")
COMPILE_SERVICE = "guesthouse.virtual.engine.compile_service"
MOST_LOSSES = 3
"""Services that may die under one client; it asks for no more then."""


def deciding_digest() -> str:
    """Digest of everything but the request that decides what native code looks like."""
    identity = (platform.machine(), installed_version("llvmlite"), processor_identity())
    digest = hashlib.blake2b("\n".join(identity).encode(), digest_size=16)
    for folder in DECIDING:
        for path in sorted((VIRTUAL / folder).rglob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def code_digest(isa: str) -> str:
    """What begins the name of everything made for an instruction set."""
    return hashlib.blake2b(f"{isa} {deciding_digest()}".encode(), digest_size=16).hexdigest()


class NativeCode:
    """Objects for one instruction set (`isa` names the module that describes it), kept in `folder`.

    `services` is the folder where the user's compile service is found; without it a compile process serves this alone.
    """

    def __init__(self, isa: str, folder: Path, services: Path | None = None) -> None:
        self.isa = isa
        self.cache = AuthenticatedCache(folder)
        self.digest = code_digest(isa)
        self._place = self._place_in(services) if services else None
        self._service: Connection | None = None
        self._losses = 0

    def _place_in(self, services: Path) -> ServicePlace:
        """What may share a service: the same code for the same cache, made by the same Python on the same host."""
        parts = (self.digest, str(self.cache.folder.absolute()), str(VIRTUAL), sys.executable, sys.version)
        name = hashlib.blake2b("\n".join([*parts, platform.node()]).encode(), digest_size=16).hexdigest()
        return ServicePlace(services, f"compile-{name}")

    def start(self) -> Connection:
        """Have a compile service at hand (before the worker confines itself); raises UserError where none can be had.

        Where none runs, one sleeps until the first request.
        """
        if self._service is None:
            found = self._running()
            self._service = found[0] if found else self._sleeping()
            if not self.cache.names(region_prefix(self.digest)):
                self._service.wake()  # nothing of the guest's is translated yet: it will be needed soon
        return self._service

    def _sleeping(self) -> Connection:
        place = (str(self._place.folder.absolute()), self._place.name) if self._place else ("", "")
        try:
            return start_sleeper(COMPILE_SERVICE, [self.isa, str(self.cache.folder.absolute()), self.digest, *place])
        except OSError as error:
            raise UserError(f"the compile process can't be started: {error.strerror or error}") from error

    def _running(self) -> tuple[Connection, dict[str, Any]] | None:
        """A connection to the service that runs already, and what it says of itself; None where none answers."""
        end = self._place.connect() if self._place else None
        if end is None:
            return None
        connection = Connection(end)
        try:
            connection.send({"kind": "status"})
            status = connection.poll(PATIENCE)
            if isinstance(status, dict) and "pid" in status:
                return connection, status
        except (UserError, OSError, ValueError):
            pass
        connection.close()
        return None

    def service_status(self) -> dict[str, Any] | None:
        """What `CompileService.status` says, without counting us; None where no service runs."""
        found = self._running()
        if found is None:
            return None
        found[0].close()
        return {**found[1], "clients": found[1]["clients"] - 1}

    def runtime(self) -> bytes:
        """The object with everything compiled ahead."""
        return self._ahead("runtime")

    def stencils(self) -> Stencils:
        """The stencils of the instruction set."""
        return msgspec.msgpack.decode(self._ahead("stencils"), type=Stencils)

    def _ahead(self, kind: str) -> bytes:
        known = self.cache.get(AHEAD[kind](self.digest))
        if known is not None:
            return known
        service = self.start()
        service.send({"kind": kind})
        answer = service.receive()
        if "error" in answer:
            raise UserError(f"native code could not be made: {answer['error']}")
        return bytes(answer["object"])

    # --- regions, made while the guest runs on ------------------------------------------------------------------------

    def region_name(self, page: bytes, entry: int) -> str:
        """Name of a region in the cache."""
        return region_name(self.digest, page, entry)

    def known_region(self, name: str) -> dict[str, Any] | None:
        """A region from the persistent cache, by the name of any of its entries."""
        return get_region(self.cache, name)

    def regions_by_page(self) -> dict[str, list[int]]:
        """The entries of all regions in the persistent cache now, by `page_digest`."""
        return regions_by_page(self.digest, self.cache.names(region_prefix(self.digest)))

    def request_region(self, page: bytes, entry: int, jumps_to: list[int], heat: int = 0, later: bool = False) -> bool:
        """Ask for a region at page offset `entry`; `receive` gives the answer (`jumps_to`: see `RegionFormer.form`).

        What has more `heat` is made first; what is for `later` is not answered, and made when all clients have gone.
        False where there is no service that could be asked: see `lost`.
        """
        if self._losses >= MOST_LOSSES:
            return False
        request = {"kind": "region", "page": page, "entry": entry, "jumps_to": jumps_to, "heat": heat}
        if later:
            request["later"] = True
        try:
            self.start().send(request)
        except (UserError, OSError):
            return False
        return True

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer: the region's `name`, and an `error` or what was made. They come in any order.

        Raises UserError where the service is gone, or after `interrupt`.
        """
        if self._service is None:
            raise UserError("no compile service was asked")
        answer: dict[str, Any] = self._service.receive()
        return answer

    def lost(self) -> None:
        """Say that the service is gone; nobody may wait in `receive`. The next request looks for another one."""
        self._losses += 1
        self.close()

    def interrupt(self) -> None:
        """Have a thread that waits in `receive` come back with UserError; `close` must follow."""
        if self._service is not None:
            self._service.interrupt()

    def close(self) -> None:
        """Need the compile service no more; the next request looks for it again."""
        if self._service is not None:
            self._service.close()
            self._service = None
