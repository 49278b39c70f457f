"""What the engines make of one instruction, as text for people. Nothing here runs a guest or loads LLVM."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from guesthouse.errors import UserError
from guesthouse.host.child import Child
from guesthouse.virtual.engine.decoder import handler_symbol
from guesthouse.virtual.engine.interpreter import build_handler, engine_layout
from guesthouse.virtual.engine.module import Module
from guesthouse.virtual.engine.region import PAGE, Step
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.engine.stencil_builder import StencilBuilder
from guesthouse.virtual.engine.translator import QUICK, Translator
from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec.description import Instruction, Isa

EXPLAIN_PROCESS = "guesthouse.virtual.engine.explain_process"
REGION = "region"
FIRST_SAMPLE = 10
_LABEL = re.compile(r'"?([\w.$]+)"?:$')


class NativeText(msgspec.Struct, frozen=True):
    """One function as text: as lowering wrote it, as LLVM optimised it, and the host's assembly."""

    lowered: str
    optimised: str
    host: str
    operands: str = ""  # where the code holds for these values only


def handler_module(instruction: Instruction) -> str:
    """LLVM IR of a module that holds an instruction's handler and declares what it calls."""
    module = Module(engine_layout(instruction.isa))
    build_handler(module, Runtime(instruction.isa), instruction)
    return module.text()


def handler_text(instruction: Instruction) -> NativeText:
    """The interpreter's handler of an instruction; raises UserError where LLVM fails."""
    return _explained(handler_module(instruction), handler_symbol(instruction))


def sample_operands(instruction: Instruction) -> dict[str, int]:
    """Values for its operands: small and apart from each other, as far as the encoding allows."""
    values = {}
    for number, operand in enumerate(sorted(instruction.pattern.operands, key=lambda o: o.name)):
        wanted = max(operand.low, FIRST_SAMPLE + number) if operand.high > FIRST_SAMPLE else operand.low
        aligned = wanted - (wanted - operand.bias) % operand.step
        choices = (aligned, aligned + operand.step, operand.bias, operand.bias + operand.step)
        values[operand.name] = next(
            v for v in choices if operand.low <= v <= operand.high and v not in operand.excluded
        )
    return values


def stencil_texts(instructions: Iterable[Instruction]) -> dict[str, NativeText]:
    """The stencils of some instructions of one set, by the instruction's name; what has none is left out."""
    wanted = {instruction.name: instruction for instruction in instructions}
    if not wanted:
        return {}
    builder = StencilBuilder(next(iter(wanted.values())).isa)
    ir = builder.text(wanted.values())
    symbols = {name: handler_symbol(instruction) for name, instruction in wanted.items() if builder.has(instruction)}
    found = _all_explained(ir, list(symbols.values()))
    return {name: found[symbol] for name, symbol in symbols.items()}


def translated_text(instruction: Instruction) -> NativeText | None:
    """What the translator makes of an instruction that stands alone on a page; None where it leaves it to handlers."""
    values = sample_operands(instruction)
    pattern = instruction.pattern
    code = pattern.encode(values).to_bytes(pattern.length, "little")
    chosen = ", ".join(f"{name} = {value}" for name, value in values.items())
    return region_text(instruction.isa, code, chosen)


def region_text(isa: Isa, code: bytes, operands: str = "", entry: int = 0) -> NativeText | None:
    """What the translator makes of code that fills a page from its beginning; None where it leaves it to handlers."""
    try:
        ir, _ = Translator(isa).translate(code + bytes(PAGE - len(code)), entry, symbol=REGION)
    except Refused:
        return None
    return _all_explained(ir, [REGION], operands, QUICK)[REGION]


def loop_round(isa: Isa, page: bytes, offset: int) -> tuple[int, list[Step]]:
    """Where the innermost loop round a place of a page begins, and the instructions of the region from there.

    The place itself where it is in no loop that direct jumps show.
    """
    translator = Translator(isa)
    heads = [block.offset for block in translator.former.form(page, offset, translator) if block.header]
    entry = max((head for head in heads if head <= offset), default=offset)
    return entry, [step for block in translator.former.form(page, entry, translator) for step in block.steps]


def _explained(ir: str, symbol: str) -> NativeText:
    return _all_explained(ir, [symbol])[symbol]


def _all_explained(ir: str, symbols: list[str], operands: str = "", level: int = 2) -> dict[str, NativeText]:
    child = Child(EXPLAIN_PROCESS)
    try:
        child.send({"ir": ir, "level": level})
        answer = child.receive()
    finally:
        child.close()
    if "error" in answer:
        raise UserError(f"LLVM refuses what lowering wrote: {answer['error']}")
    optimised, host = answer["optimised"], answer["assembly"]
    return {
        symbol: NativeText(_function(ir, symbol), _function(optimised, symbol), _host_function(host, symbol), operands)
        for symbol in symbols
    }


def _function(ir: str, symbol: str) -> str:
    """The definition of one function, without the metadata that LLVM keeps beside it."""
    lines = ir.splitlines()
    head = f'@"{symbol}"'
    start = next(n for n, line in enumerate(lines) if line.startswith("define ") and head in _quoted(line))
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
            if inside and not label[1].startswith(".Lfunc") and not label[1].endswith("$local"):
                found.append(f"{label[1]}:")
        elif inside and code.strip() and not code.strip().startswith("."):
            found.append("    " + code.strip().expandtabs(8))
    return "\n".join(found)
