"""How native code is called: handlers and what stands in for them, and shared functions of the language."""

from __future__ import annotations

from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.source import Source

# A handler, a region and the glue between them: five values in the host's argument registers, nothing kept or returned,
# so each ends with a jump to the next. The state is the one that code looks at most: as the fifth value it is in a
# register (rdi on x86-64) by which it is reached with one byte less than by the others.
CONVENTION = "preserve_nonecc"
PARAMETERS = "ptr %page, ptr %slot, i64 %pc, i64 %remaining, ptr %s"
TAIL = f"musttail call {CONVENTION} void"

# Slow paths that fast code calls: they keep the caller's registers, so that the fast way pays nothing for the call.
KEEPING = frozenset({"slow_load", "slow_store", "atomic_place", "places_near"})


def handler_header(symbol: str) -> str:
    """The head of a definition of something with a handler's shape."""
    return f'define {CONVENTION} void @"{symbol}"({PARAMETERS}) nounwind'


def handler_declaration(symbol: str) -> str:
    """The declaration of something with a handler's shape."""
    return f'{CONVENTION} void @"{symbol}"(ptr, ptr, i64, i64, ptr)'


def jump(
    text: FunctionText,
    where: str,
    slot: str = "%slot",
    pc: str = "%pc",
    left: str = "%remaining",
    page: str = "%page",
) -> None:
    """End a function of that shape by going over into another one; values not given stay as they came."""
    text.emit(f"{TAIL} {where}(ptr {page}, ptr {slot}, i64 {pc}, i64 {left}, ptr %s)")
    text.end("ret void")


def convention(source: Source) -> str:
    """LLVM calling convention of a shared function, with a blank behind it; "" for C's."""
    return "preserve_mostcc " if source.name in KEEPING else ""


def signature(source: Source, effects: frozenset[str]) -> tuple[str, str]:
    """LLVM result type and parameter list of a shared function."""
    returns = source.annotations.get("return") is not None
    traps = "traps" in effects
    result = "{ i64, i1 }" if returns and traps else "i64" if returns else "i1" if traps else "void"
    parameters = ["ptr %s"] if takes_state(source) else []
    parameters += [f"i64 %a.{name}" for name in operands(source)]
    return result, ", ".join(parameters)


def takes_state(source: Source) -> bool:
    """Whether its first parameter is the state."""
    return bool(source.parameters) and source.parameters[0] == "s"


def operands(source: Source) -> tuple[str, ...]:
    """Its parameters without the state."""
    return source.parameters[1:] if takes_state(source) else source.parameters
