"""The guest's agent as an executable: compiled from its functions once, and kept in the user's cache."""

import hashlib
from collections.abc import Callable

from guesthouse.errors import UserError
from guesthouse.guest.agent.main import main
from guesthouse.guest.program.linking import Routines, link
from guesthouse.guest.program.lowering import SYSTEM_CALL, Program
from guesthouse.host.cache import AuthenticatedCache, installed_version
from guesthouse.host.child import Child
from guesthouse.manager.native_parts import code_folder
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.assembly import Assembler

COMPILER = "guesthouse.virtual.engine.program_compiler"
ROUTINES = """
_start:
    mv      a0, sp
    andi    sp, sp, -16
calls_main:
    auipc   ra, 0                   # the linker puts the distance there
    jalr    ra, 0(ra)
    li      a7, 94                  # exit_group
    ecall
system_call:
    mv      a7, a0
    mv      a0, a1
    mv      a1, a2
    mv      a2, a3
    mv      a3, a4
    mv      a4, a5
    mv      a5, a6
    ecall
    ret
"""


def agent_executable() -> bytes:
    """The static ELF; raises UserError where it can't be compiled."""
    return compiled_program(main)


def compiled_program(entry: Callable[..., int]) -> bytes:
    """The static ELF of the program that begins with `entry`, which gets the address of its first stack."""
    program = Program(entry)
    cache = AuthenticatedCache(code_folder())
    identity = f"{installed_version('llvmlite')}\n{program.text}"
    name = f"program-{hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()}"
    compiled = cache.get(name)
    if compiled is None:
        compiled = _compile(program.text)
        cache.put(name, compiled)
    routines = Assembler(ISA, RISCV64_SYNTAX).program(ROUTINES)
    offsets = {name: routines.symbols[name] for name in ("_start", SYSTEM_CALL)}
    calls = {routines.symbols["calls_main"]: program.entry}
    return link(compiled, Routines(bytes(routines.data), offsets, calls), "_start")


def _compile(text: str) -> bytes:
    child = Child(COMPILER)
    try:
        child.send(text)
        answer = child.receive()
    finally:
        child.close()
    if "error" in answer:
        raise UserError(f"The guest's agent could not be compiled: {answer['error']}")
    compiled: bytes = answer["object"]
    return compiled
