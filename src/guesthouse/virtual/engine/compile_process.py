"""The compile process: takes requests on its standard input, answers with relocatable objects.

Messages are framed as `host.child` frames them. The process that runs guests starts one of these and never imports LLVM
itself.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from guesthouse.host.cache import AuthenticatedCache
from guesthouse.host.child import LENGTH, end_with_input
from guesthouse.virtual.engine.compiler import Compiler
from guesthouse.virtual.engine.interpreter import build_runtime
from guesthouse.virtual.engine.stencil_builder import StencilBuilder
from guesthouse.virtual.engine.translator import QUICK, Translator
from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec.description import Isa

LARGEST = 64 << 20


def read_message(stream: BinaryIO) -> Any:
    """The next message, None at the end; raises ValueError for one that is too large."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > LARGEST:
        raise ValueError(f"a message of {size} bytes is larger than {LARGEST}")
    return msgspec.msgpack.decode(stream.read(size))


def write_message(stream: BinaryIO, message: Any) -> None:
    """Send one message."""
    data = msgspec.msgpack.encode(message)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def isa_of(module: str) -> Isa:
    """The instruction set that a module describes (its `ISA`)."""
    found: Isa = importlib.import_module(module).ISA
    return found


class Service:
    """Answers requests: `open` first, then `runtime` (everything compiled ahead) and `region` (guest code)."""

    def __init__(self) -> None:
        self.compiler = Compiler()
        self.isa: Isa
        self.cache: AuthenticatedCache
        self.digest = ""
        self.translator: Translator

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request's answer; `error` holds the reason where it failed."""
        started = time.process_time()
        try:
            found = getattr(self, "do_" + request["kind"])(request)
        except Exception as error:  # the other side decides what to do without this object
            found = {"error": f"{type(error).__name__}: {error}"}
        return {"seconds": time.process_time() - started, **found}

    def do_open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Which instruction set, and where objects are kept under which digest."""
        self.isa = isa_of(request["isa"])
        self.cache = AuthenticatedCache(Path(request["folder"]))
        self.digest = request["digest"]
        self.translator = Translator(self.isa)
        return {}

    def do_runtime(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runtime, decoder and handlers of the instruction set."""
        made = self.compiler.compile(build_runtime(self.isa))
        self.cache.put(f"{self.digest}.runtime", made)
        return {"object": made}

    def do_stencils(self, request: dict[str, Any]) -> dict[str, Any]:
        """The instruction set's stencils."""
        builder = StencilBuilder(self.isa)
        made = msgspec.msgpack.encode(builder.read(self.compiler.compile(builder.text())))
        self.cache.put(f"{self.digest}.stencils", made)
        return {"stencils": made}

    def do_region(self, request: dict[str, Any]) -> dict[str, Any]:
        """A region of the page given; an empty object where nothing there is worth translating."""
        try:
            ir, blocks = self.translator.translate(request["page"], request["entry"], request["jumps_to"])
        except Refused as reason:
            found: dict[str, Any] = {"object": b"", "reason": str(reason), "extents": [], "count": 0}
        else:
            found = {
                "object": self.compiler.compile(ir, QUICK),
                "extents": [[block.offset, block.steps[-1].after] for block in blocks],
                "count": sum(len(block.steps) for block in blocks),
            }
        self.cache.put(request["name"], msgspec.msgpack.encode(found))
        return found


def main() -> None:
    """Serve until the input ends, with the process that writes to it if not before."""
    end_with_input(sys.stdin.fileno())
    service = Service()
    try:
        while (request := read_message(sys.stdin.buffer)) is not None:
            write_message(sys.stdout.buffer, service.answer(request))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody listens any more


if __name__ == "__main__":
    main()
