"""One LLVM module under construction: functions, what they refer to, constant tables."""

from __future__ import annotations

from collections.abc import Iterable

from guesthouse.virtual.engine.convention import handler_declaration
from guesthouse.virtual.engine.ir import BRANCH_WEIGHTS, FunctionText
from guesthouse.virtual.engine.source import Source
from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec.layout import StateLayout

# What native code may assume apart: a processor's state, the shadow page table, guest memory, decoded slots.
ALIAS_CLASSES = ("state", "shadow", "guest", "slots")
ALIAS_FIRST = 2
HOLE_BOUNDS = 100  # metadata: what a hole may hold, unsigned and signed, in 32 bits or in 8
HOLE_RANGES = """!100 = !{i64 0, i64 2147483648}
!101 = !{i64 -2147483648, i64 2147483648}
!102 = !{i64 0, i64 128}
!103 = !{i64 -128, i64 128}"""


def alias(kind: str) -> str:
    """The metadata that says which class of memory an access is to."""
    return f", !tbaa !{ALIAS_FIRST + 1 + 2 * ALIAS_CLASSES.index(kind) + 1}"


class Module:
    """Texts to be compiled together."""

    def __init__(self, layout: StateLayout, symbol_prefix: str = "") -> None:
        self.layout = layout
        self.prefix = symbol_prefix
        self.needed: dict[str, Source] = {}  # shared functions referred to
        self._functions: list[str] = []
        self._declared: dict[str, str] = {}
        self._defined: set[str] = set()
        self._tables: dict[tuple[int, ...], str] = {}
        self._holes: dict[str, int] = {}

    def add(self, symbol: str, text: FunctionText) -> None:
        """Take a finished function."""
        self._defined.add(symbol)
        self._functions.append(text.text().replace("define ", "define dso_local ", 1))

    def define_text(self, text: str, symbols: Iterable[str]) -> None:
        """Take functions that are text already."""
        self._defined.update(symbols)
        self._functions.append(text)

    def declare(self, symbol: str, signature: str) -> str:
        """Refer to a function that may be defined elsewhere; gives its IR name."""
        self._declared.setdefault(symbol, signature)
        return f'@"{symbol}"'

    def handler(self, symbol: str) -> str:
        """Refer to something with a handler's shape; gives its IR name."""
        return self.declare(symbol, handler_declaration(symbol))

    def table(self, numbers: tuple[int, ...]) -> str:
        """A constant array of 64-bit words; gives its IR name."""
        return self._tables.setdefault(numbers, f"@table.{self.prefix}{len(self._tables)}")

    def hole(self, name: str, low: int, high: int) -> str:
        """A symbol whose address, within these bounds, is put into finished code; gives its IR name."""
        if low < -(1 << 31) or high >= 1 << 31:
            raise Refused(f"{name} does not fit 32 bits")
        narrow = low >= -128 and high < 128
        self._holes[name] = HOLE_BOUNDS + 2 * narrow + (low < 0)
        return f'@"{name}"'

    def text(self) -> str:
        """The whole module."""
        lines = [f"declare dso_local {text}" for symbol, text in self._declared.items() if symbol not in self._defined]
        for numbers, name in self._tables.items():
            words = ", ".join(f"i64 {n - (1 << 64) if n >> 63 else n}" for n in numbers)
            lines.append(f"{name} = private constant [{len(numbers)} x i64] [{words}]")
        for name, bounds in self._holes.items():
            lines.append(f'@"{name}" = external dso_local global i8, !absolute_symbol !{bounds}')
        return "\n".join([*lines, *self._functions, BRANCH_WEIGHTS, *self._aliases(), HOLE_RANGES])

    def _aliases(self) -> list[str]:
        lines = [f'!{ALIAS_FIRST} = !{{!"guesthouse"}}']
        number = ALIAS_FIRST + 1
        for kind in ALIAS_CLASSES:
            lines.append(f'!{number} = !{{!"{kind}", !{ALIAS_FIRST}, i64 0}}')
            lines.append(f"!{number + 1} = !{{!{number}, !{number}, i64 0}}")
            number += 2
        return lines
