"""Which register file an instruction's operand names, deduced from what its function does with it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping

from guesthouse.virtual.spec.description import Semantics
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout


def register_files(semantics: Semantics, layout: StateLayout) -> dict[str, str]:
    """Parameters that index a register file of the state, directly or in a function called: name to file name."""
    files = {name for name, field in layout.fields.items() if isinstance(field, RegisterFile)}
    return dict(_files_of(semantics, files, {}))


def _files_of(semantics: Semantics, files: set[str], known: dict[Semantics, dict[str, str]]) -> Mapping[str, str]:
    if semantics in known:
        return known[semantics]
    found = known.setdefault(semantics, {})  # in place before the walk, so that recursion ends
    definition = ast.parse(textwrap.dedent(inspect.getsource(semantics))).body[0]
    state, *parameters = inspect.signature(semantics).parameters
    for node in ast.walk(definition):
        match node:
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id=name), attr=file), slice=ast.Name(id=operand)):
                if name == state and file in files and operand in parameters:
                    found[operand] = file
            case ast.Call(func=ast.Name(id=callee), args=[ast.Name(id=first), *_]) if first == state:
                target = semantics.__globals__.get(callee)
                if inspect.isfunction(target):
                    inner = _files_of(target, files, known)
                    for argument, parameter in zip(node.args, inspect.signature(target).parameters, strict=False):
                        if isinstance(argument, ast.Name) and argument.id in parameters and parameter in inner:
                            found[argument.id] = inner[parameter]
    return found
