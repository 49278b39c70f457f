"""Our own native parts, which every run needs: made once and kept in the user's cache."""

import hashlib
import time
from pathlib import Path

import msgspec

from guesthouse.guest.hello import SOURCE
from guesthouse.guest.symbols import Symbols
from guesthouse.host.cache import AuthenticatedCache
from guesthouse.host.user_folders import cache_folder, disk_is_full, runtime_folder
from guesthouse.virtual.engine.native_code import NativeCode
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler
from guesthouse.virtual.spec.words import MASK64

INSTRUCTION_SETS = ("guesthouse.virtual.isa.riscv64",)
FOLDER = "code"
HELLO_AT = 0x8020_0000


class NativePart(msgspec.Struct, frozen=True):
    """One part: the module it is made from, its size in bytes, the seconds it took, and why it was not kept or ""."""

    module: str
    size: int
    seconds: float
    problem: str


def code_folder() -> Path:
    """Where native code is kept."""
    return cache_folder() / FOLDER


def hello_image() -> bytes:
    """The built-in guest `hello`, assembled; kept, since assembling takes half of the time that it runs."""
    native = NativeCode(INSTRUCTION_SETS[0], code_folder())
    name = f"{native.digest}.hello.{hashlib.blake2b(SOURCE.encode(), digest_size=8).hexdigest()}"
    known = native.cache.get(name)
    if known is None:
        known = bytes(Assembler(ISA, RISCV64_SYNTAX).program(SOURCE).data)
        native.cache.put(name, known)
    return known


def hello_symbols() -> Symbols:
    """The names in `hello`, where it lies at first and where it goes when it has turned its page tables on."""
    program = Assembler(ISA, RISCV64_SYNTAX).program(SOURCE, HELLO_AT)
    inside = {n: a for n, a in program.symbols.items() if HELLO_AT <= a < HELLO_AT + len(program.data)}
    higher = program.symbols["HIGHER"]
    return Symbols((address + moved & MASK64, name) for name, address in inside.items() for moved in (0, higher))


def build_native_parts() -> list[NativePart]:
    """Make what is missing; raises UserError where the compiler fails."""
    hello_image()
    return [_build(module) for module in INSTRUCTION_SETS]


def _build(module: str) -> NativePart:
    started = time.monotonic()
    native = NativeCode(module, code_folder())
    try:
        size = len(native.runtime()) + len(native.stencils().image)
        return NativePart(module, size, time.monotonic() - started, native.cache.problem)
    finally:
        native.close()


def missing_native_parts() -> list[str]:
    """The modules whose native parts are not in the cache."""
    codes = [(module, NativeCode(module, code_folder())) for module in INSTRUCTION_SETS]
    return [module for module, native in codes if native.cache.get(f"{native.digest}.runtime") is None]


def compile_service_status() -> str:
    """What the user's compile service says of itself; that none runs where none answers."""
    status = NativeCode(INSTRUCTION_SETS[0], code_folder(), runtime_folder()).service_status()
    if status is None:
        return "not running; it starts with the first run that needs it"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status["since"]))
    return f"process {status['pid']} since {since}; clients: {status['clients']}, regions made: {status['regions']}"


def cache_problem() -> str:
    """Why native code can't be kept, as a sentence; "" where it can."""
    problem = AuthenticatedCache(code_folder()).problem
    if not problem and disk_is_full(code_folder()):
        problem = f"the disk of {code_folder()} is full"
    return f"Native code is not kept, so every start is slow: {problem}." if problem else ""
