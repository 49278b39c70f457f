"""What makes native code: lowering and LLVM, in a process that does nothing else. It keeps nothing on disk."""

from __future__ import annotations

import importlib
import linecache
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec

from guesthouse.host.messages import read_message, write_message
from guesthouse.virtual.engine.compiler import Compiler
from guesthouse.virtual.engine.explanation import sample_operands
from guesthouse.virtual.engine.interpreter import build_runtime
from guesthouse.virtual.engine.objects import encoded, read_object
from guesthouse.virtual.engine.region import PAGE
from guesthouse.virtual.engine.stencil_builder import StencilBuilder
from guesthouse.virtual.engine.translator import QUICK, Translator
from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec.description import Instruction, Isa

LARGEST_REQUEST = 1 << 20
CAREFUL = 2  # how hard LLVM tries on what is made ahead
LANGUAGE = "guesthouse.virtual"


class RegionRequest(msgspec.Struct):
    """Guest code to translate: its page, the offset to begin at, and what `RegionFormer.form` calls `jumps_to`."""

    page: bytes
    entry: int
    jumps_to: list[int] | None = None
    heat: int = 0


class Made(msgspec.Struct):
    """An answer: an object (see `objects.encoded`; or `Stencils` as msgpack), and the seconds of processor time."""

    object: bytes
    seconds: float


class MadeRegion(Made):
    """A region: its code as pairs of page offsets, begin and end; its entries; how many instructions."""

    extents: list[tuple[int, int]]
    entries: list[int]
    count: int


def isa_of(module: str) -> Isa:
    """The instruction set that a module describes (its `ISA`)."""
    found: Isa = importlib.import_module(module).ISA
    return found


def _read_sources(packages: tuple[str, ...]) -> None:
    """Remember the text of every module in these packages: later the files may be out of reach, or others."""
    for name, module in list(sys.modules.items()):
        if name.startswith(packages) and (file := getattr(module, "__file__", None)):
            linecache.getlines(file)


class CompileWorker:
    """Answers requests: `runtime` and `stencils`, which are made ahead, and `region` (guest code)."""

    def __init__(self, module: str) -> None:
        """`module` describes the instruction set. Reads all that is ever read from files, for good."""
        self.isa = isa = isa_of(module)
        _read_sources((LANGUAGE, module))
        self.compiler = Compiler()
        self.translator = Translator(isa)

    def serve(self, reader: BinaryIO, writer: BinaryIO) -> None:
        """Answer until nobody asks any more; ends where memory runs out."""
        while (request := read_message(reader, LARGEST_REQUEST)) is not None:
            write_message(writer, self.answer(request))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request's answer, with its `seconds` of processor time; `error` holds the reason where it failed."""
        started = time.thread_time()  # its own: a limit on the time of the process makes that clock coarse
        try:
            ahead = {"runtime": self._runtime, "stencils": self._stencils}.get(request["kind"])
            found = ahead() if ahead else self._region(request)
        except MemoryError:
            raise
        except Exception as error:  # who asked decides what to do without this object
            found = {"error": f"{type(error).__name__}: {error}"}
        return {"seconds": time.thread_time() - started, **found}

    def _runtime(self) -> dict[str, Any]:
        return {"object": self._compiled(build_runtime(self.isa))}

    def _stencils(self) -> dict[str, Any]:
        builder = StencilBuilder(self.isa)
        return {"object": msgspec.msgpack.encode(builder.read(self.compiler.compile(builder.text())))}

    def _region(self, request: dict[str, Any]) -> dict[str, Any]:
        """A region of the page given; an empty object where nothing there is worth translating."""
        wanted = msgspec.convert(request, RegionRequest)
        try:
            ir, blocks = self.translator.translate(wanted.page, wanted.entry, wanted.jumps_to)
        except Refused as reason:
            return {"object": b"", "reason": str(reason), "extents": [], "entries": [], "count": 0}
        return {
            "object": self._compiled(ir, QUICK),
            "extents": [[block.offset, block.steps[-1].after] for block in blocks],
            "entries": [block.offset for block in blocks if block.entry],
            "count": sum(len(block.steps) for block in blocks),
        }

    def _compiled(self, ir: str, level: int = CAREFUL) -> bytes:
        """The object of a module, as it is kept."""
        return encoded(read_object(self.compiler.compile(ir, level)))

    def warm(self) -> None:
        """Do once what nearly every request needs: each kind of instruction in the largest chapter of the set."""
        chapters = Counter(instruction.semantics.__module__ for instruction in self.isa.instructions)
        largest = chapters.most_common(1)[0][0]
        kinds: dict[frozenset[str], Instruction] = {}
        for instruction in self.isa.instructions:
            if instruction.semantics.__module__ == largest:
                kinds.setdefault(self.translator.runtime.sources.effects(instruction.semantics), instruction)
        text = ""
        for instruction in kinds.values():
            pattern = instruction.pattern
            code = pattern.encode(sample_operands(instruction)).to_bytes(pattern.length, "little")
            with suppress(Refused):
                text, _ = self.translator.translate(code + bytes(PAGE - len(code)), 0)
        if text:
            self.compiler.compile(text, QUICK)
