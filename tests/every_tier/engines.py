"""The engines under test, each behind the one contract, with a processor and memory of its own."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from guesthouse.virtual.engine.interpreter import engine_layout
from guesthouse.virtual.engine.native import NativeEngine
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.engine.reference import ReferenceEngine
from guesthouse.virtual.memory.guest import GuestMemory
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.exits import Exit
from guesthouse.virtual.spec.layout import RegisterFile
from guesthouse.virtual.spec.state import ProcessorState

ENGINES = ("reference", "interpreter", "stitcher", "translator", "auto")  # a new engine is one more name here
STEPPED = ("interpreter",)  # those that run one instruction by itself

RISCV64 = "guesthouse.virtual.isa.riscv64"
TOY = "tests.toy.isa"
ROOT = Path(__file__).resolve().parents[2]
DEVICE_EXITS = (Exit.DEVICE_READ, Exit.DEVICE_WRITE)


def isa_of(module: str) -> Isa:
    """The instruction set that a module describes."""
    found: Isa = importlib.import_module(module).ISA
    return found


@functools.cache
def native_code(module: str) -> NativeCode:
    """Native code of an instruction set: its runtime is compiled once for a state of the sources, and kept."""
    described = Path(importlib.import_module(module).__file__ or "")
    own = hashlib.blake2b(described.read_bytes(), digest_size=8).hexdigest()
    folder = ROOT / ".pytest_cache" / "native" / own
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The process that compiles must find both the package and the toy set.
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*(p for p in sys.path if p), str(ROOT)]))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test processes one compiles, the other reads
        code = NativeCode(module, folder)
        code.runtime()
        return code


def make(name: str, module: str, memory: GuestMemory, state: ProcessorState) -> Any:
    """The engine called `name` on a processor."""
    if name == "reference":
        return ReferenceEngine(isa_of(module), memory, state)
    hot = 1 if name in ("stitcher", "translator") else None  # stitch or translate all that is jumped to
    return NativeEngine(isa_of(module), memory, state, native_code(module), name, hot)


class Rig:
    """One processor on one engine, with `size` bytes of RAM at `base` and nothing else."""

    def __init__(self, name: str, module: str, base: int, size: int) -> None:
        self.name = name
        self.isa = isa_of(module)
        self.memory = GuestMemory(base, size)
        self.state = ProcessorState(engine_layout(self.isa))
        self.state.reset()
        self.engine = make(name, module, self.memory, self.state)
        self.ram = self.memory.mapping.view
        self.count = self.isa.layout.slots
        self.words = self.state.slots[: self.count]
        self.bytes = self.words.cast("B")
        self.spans = saved_spans(self.isa)
        self.state.slice = 1 << 14
        self.state.counted_clock = 1
        self.isa.hooks["reset"](self.state)

    def load(self, image: bytes) -> None:
        """Take a processor's whole state, as `image` gives it."""
        self.bytes[:] = image

    def image(self) -> bytes:
        """The processor's state, private fields of the instruction set included."""
        return self.bytes.tobytes()

    def saved(self) -> bytes:
        """What of the state is the guest's, as bytes."""
        return b"".join([self.bytes[a:b] for a, b in self.spans])

    def run(self, budget: int) -> tuple[Any, ...]:
        """Run; gives the exit with what the monitor is asked."""
        reason = self.engine.run(budget)
        return self.exit(reason)

    def exit(self, reason: Exit) -> tuple[Any, ...]:
        """An exit with what belongs to it."""
        s = self.state
        if reason not in DEVICE_EXITS:
            return (reason,)
        value = s.exit_value & ((1 << 8 * s.exit_size) - 1) if reason == Exit.DEVICE_WRITE else 0
        return (reason, s.exit_address, s.exit_size, value)

    def digest(self) -> str:
        """Digest of all of RAM."""
        return hashlib.blake2b(self.ram, digest_size=16).hexdigest()

    def close(self) -> None:
        """Give the memory back."""
        self.memory.close()


def saved_spans(isa: Isa) -> list[tuple[int, int]]:
    """Byte ranges of the state that hold saved fields."""
    spans: list[tuple[int, int]] = []
    for field in isa.layout.saved():
        first = isa.layout.offset(field.name)
        last = first + 8 * field.count
        if spans and spans[-1][1] == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans


def difference(isa: Isa, expected: bytes, found: bytes) -> str:
    """The fields that differ between two results of `Rig.saved`, in words."""
    lines, at = [], 0
    for field in isa.layout.saved():
        for index in range(field.count):
            a, b = (int.from_bytes(image[at : at + 8], "little") for image in (expected, found))
            at += 8
            if a != b:
                name = f"{field.name}[{index}]" if isinstance(field, RegisterFile) else field.name
                lines.append(f"{name}: {a:#x} expected, {b:#x} found")
    return "; ".join(lines) or "nothing"


def memory_difference(expected: memoryview, found: memoryview, base: int) -> str:
    """The first bytes of RAM that differ, in words."""
    a, b = bytes(expected), bytes(found)
    places = [i for i in range(0, len(a), 8) if a[i : i + 8] != b[i : i + 8]]
    return "; ".join(f"{base + i:#x}: {a[i : i + 8].hex()} expected, {b[i : i + 8].hex()} found" for i in places[:8])
