"""Which register file an instruction's operand names, deduced from what its function does with it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping

from guesthouse.virtual.spec.description import Semantics
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout


class RegisterOperands:
    """What is known of the operands of a set's functions; each function is read once, when it is first asked for."""

    def __init__(self, layout: StateLayout) -> None:
        self._files = {name for name, field in layout.fields.items() if isinstance(field, RegisterFile)}
        self._known: dict[Semantics, dict[str, str]] = {}

    def files_of(self, semantics: Semantics) -> Mapping[str, str]:
        """Parameters that index a register file of the state, directly or in a function called: name to file name."""
        if semantics in self._known:
            return self._known[semantics]
        found = self._known.setdefault(semantics, {})  # in place before the walk, so that recursion ends
        definition = ast.parse(textwrap.dedent(inspect.getsource(semantics))).body[0]
        state, *parameters = _parameters(semantics)
        for node in ast.walk(definition):
            match node:
                case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr=file), slice=ast.Name(id=operand)):
                    if name == state and file in self._files and operand in parameters:
                        found[operand] = file
                case ast.Call(func=ast.Name(id=callee), args=[ast.Name(id=first), *_]) if first == state:
                    target = semantics.__globals__.get(callee)
                    named = {a.id for a in node.args if isinstance(a, ast.Name)}
                    if inspect.isfunction(target) and not named.isdisjoint(parameters):
                        found.update(self._through(target, node.args, parameters))
        return found

    def _through(self, target: Semantics, arguments: list[ast.expr], parameters: list[str]) -> dict[str, str]:
        """The files of those parameters that are handed on to a function."""
        inner = self.files_of(target)
        handed = zip(arguments, _parameters(target), strict=False)
        return {a.id: inner[p] for a, p in handed if isinstance(a, ast.Name) and a.id in parameters and p in inner}


def _parameters(semantics: Semantics) -> tuple[str, ...]:
    """The names of a function's parameters, in order."""
    code = semantics.__code__
    return code.co_varnames[: code.co_argcount]


def register_files(semantics: Semantics, layout: StateLayout) -> Mapping[str, str]:
    """What `RegisterOperands` says of one function; who asks for many keeps one of those."""
    return RegisterOperands(layout).files_of(semantics)
