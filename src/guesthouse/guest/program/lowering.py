"""From the functions of a guest program to one module of LLVM IR, as text.

The language: functions of integers (the first parameter is the `System`), local names, `if`, `while`, `for` over a
range, `break`, `continue`, `return`, arithmetic, comparisons, `and`, `or`, `not`, conditional expressions, calls of
other such functions and of the words of `System`. Names outside of functions are integers, bytes and `Buffer`s. Numbers
are 64 bits and must not overflow; what `//` and `%` divide must not be negative; memory is accessed at multiples of the
size.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from typing import Any

from guesthouse.guest.program.function import FunctionWriter
from guesthouse.guest.program.refusal import Refused
from guesthouse.guest.program.words import Buffer

SYSTEM_CALL = "system_call"
"""The symbol of the assembled routine that makes a system call: number and six arguments."""

HEAD = f"""target triple = "riscv64-unknown-linux-gnu"
declare i64 @{SYSTEM_CALL}(i64, i64, i64, i64, i64, i64, i64)
"""
# Without `no-builtins` LLVM would make loops into calls of a C library that is not there.
ATTRIBUTES = 'attributes #0 = { nounwind "no-builtins" "frame-pointer"="none" }\n'


class Program:
    """One program: everything that `entry` calls, with its data."""

    def __init__(self, entry: Callable[..., Any]) -> None:
        """Raises Refused where something is not in the language."""
        self._symbols: dict[Callable[..., Any], str] = {}
        self._waiting: list[Callable[..., Any]] = []
        self._data: list[str] = []
        self._buffers: dict[int, str] = {}
        self._texts: dict[bytes, str] = {}
        self.entry = self.function(entry)
        bodies = []
        while self._waiting:
            function = self._waiting.pop()
            bodies.append(self._lower(function))
        self.text = "\n".join([HEAD, *self._data, *bodies, ATTRIBUTES])

    def function(self, function: Callable[..., Any]) -> str:
        """The symbol of a function, which becomes part of the program."""
        if function not in self._symbols:
            module = function.__module__.rpartition(".")[2]
            self._symbols[function] = f"{module}.{function.__name__}"
            self._waiting.append(function)
        return self._symbols[function]

    def data(self, item: Buffer | bytes) -> str:
        """The symbol of a buffer or of constant bytes."""
        if isinstance(item, bytes):
            if item not in self._texts:
                name = self._texts[item] = f"text.{len(self._texts)}"
                content = "".join(f"\\{byte:02x}" for byte in item + b"\0")
                self._data.append(f'@{name} = private constant [{len(item) + 1} x i8] c"{content}", align 8')
            return self._texts[item]
        if id(item) not in self._buffers:
            name = self._buffers[id(item)] = f"buffer.{len(self._buffers)}"
            self._data.append(f"@{name} = internal global [{item.size} x i8] zeroinitializer, align 16")
        return self._buffers[id(item)]

    def _lower(self, function: Callable[..., Any]) -> str:
        file = function.__code__.co_filename
        lines = linecache.getlines(file)
        first = function.__code__.co_firstlineno
        tree = ast.parse("".join(inspect.getblock(lines[first - 1 :]))).body[0]
        if not isinstance(tree, ast.FunctionDef):
            raise Refused(f"{file}:{first}: a program consists of functions")
        ast.increment_lineno(tree, first - 1)
        linkage = "" if self._symbols[function] == self.entry else "internal "
        return FunctionWriter(self, tree, function.__globals__, file).write(self._symbols[function], linkage)
