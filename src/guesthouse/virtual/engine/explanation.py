"""What the engines make of one instruction, as text for people. Nothing here runs a guest or loads LLVM."""

from __future__ import annotations

import re
from dataclasses import dataclass

from guesthouse.errors import UserError
from guesthouse.host.child import Child
from guesthouse.virtual.engine.decoder import handler_symbol
from guesthouse.virtual.engine.interpreter import Runtime, build_handler, engine_layout
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.spec.description import Instruction

EXPLAIN_PROCESS = "guesthouse.virtual.engine.explain_process"
_LABEL = re.compile(r'"?([\w.$]+)"?:$')


@dataclass(frozen=True)
class NativeText:
    """One function as text: as lowering wrote it, as LLVM optimised it, and the host's assembly."""

    lowered: str
    optimised: str
    host: str


def handler_module(instruction: Instruction) -> str:
    """LLVM IR of a module that holds an instruction's handler and declares what it calls."""
    module = Module(engine_layout(instruction.isa))
    build_handler(module, Runtime(instruction.isa), instruction)
    return module.text()


def handler_text(instruction: Instruction) -> NativeText:
    """The interpreter's handler of an instruction; raises UserError where the compile process fails."""
    return _explained(handler_module(instruction), handler_symbol(instruction))


def translated_text(instruction: Instruction) -> NativeText | None:
    """What the translator makes of an instruction standing alone; None while there is no translator."""
    return None


def _explained(ir: str, symbol: str) -> NativeText:
    child = Child(EXPLAIN_PROCESS)
    try:
        child.send({"ir": ir})
        answer = child.receive()
    finally:
        child.close()
    if "error" in answer:
        raise UserError(f"LLVM refuses what lowering wrote: {answer['error']}")
    optimised = _function(answer["optimised"], symbol)
    return NativeText(_function(ir, symbol), optimised, _host_function(answer["assembly"], symbol))


def _function(ir: str, symbol: str) -> str:
    """The definition of one function, without the metadata that LLVM keeps beside it."""
    lines = ir.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("define ") and f'@"{symbol}"' in _quoted(line))
    end = lines.index("}", start)
    return "\n".join(re.sub(r", !(tbaa|prof) !\d+", "", line) for line in lines[start : end + 1])


def _quoted(line: str) -> str:
    """A definition's line with its symbol in quotes, as lowering writes it and LLVM only where it must."""
    return re.sub(r"@([\w.$]+)\(", r'@"\1"(', line)


def _host_function(assembly: str, symbol: str) -> str:
    """The instructions and labels of one function, without directives."""
    found, inside = [], False
    for line in assembly.splitlines():
        code = line.split("#")[0].rstrip()
        if label := _LABEL.match(code):
            inside = label[1] == symbol or (inside and label[1].startswith(".L"))
            if inside and not label[1].startswith((".Lfunc", ".Lhandler")):
                found.append(f"{label[1]}:")
        elif inside and code.strip() and not code.strip().startswith("."):
            found.append("    " + code.strip().expandtabs(8))
    return "\n".join(found)
