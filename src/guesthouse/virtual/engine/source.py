"""Descriptions as syntax trees, with the names in them resolved and their effects known."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from guesthouse.virtual.engine.values import Refused
from guesthouse.virtual.spec import words

ATOMIC = frozenset(
    {"load_reserved", "store_conditional", "atomic_exchange", "atomic_add", "atomic_and", "atomic_or", "atomic_xor"}
    | {"atomic_min", "atomic_max", "atomic_min_unsigned", "atomic_max_unsigned"}
)
TRAPPING = ATOMIC | {"load", "store", "touch", "zero_block"}
WRITING = TRAPPING - {"load", "touch"}
# What an engine must have put in place, or must do afterwards.
EFFECTS = {
    "fetched": {"pc", "traps"},
    "nanoseconds": {"time"},
    "retired": {"time"},
    "synchronize": {"synchronize"},
    "relax": {"synchronize", "time"},
    "leave": {"synchronize"},
    "forget_translations": {"synchronize"},
    "forget_translation": {"synchronize"},
    "forget_context": {"synchronize"},
    **{name: {"traps"} for name in TRAPPING - WRITING},
    **{name: {"traps", "writes"} for name in WRITING},
}


def symbol_of(semantics: Callable[..., Any]) -> str:
    """The name of a shared function in native code."""
    return f"{semantics.__module__.removeprefix('guesthouse.virtual.')}.{semantics.__name__}"


class Source:
    """One function of the language: its tree, where it stands and what its names mean."""

    def __init__(self, semantics: Callable[..., Any], tree: ast.FunctionDef) -> None:
        self.semantics = semantics
        self.name = semantics.__name__
        self.module = semantics.__module__
        self.file = semantics.__code__.co_filename
        self.tree = tree
        self.parameters = tuple(argument.arg for argument in tree.args.args)
        self.names: Mapping[str, Any] = {**semantics.__globals__, **inspect.getclosurevars(semantics).nonlocals}
        self.annotations = {
            name: {**self.names, "None": None}.get(kind, kind) if isinstance(kind, str) else kind
            for name, kind in inspect.get_annotations(semantics).items()
        }

    @property
    def symbol(self) -> str:
        """The function's name in native code."""
        return symbol_of(self.semantics)

    def refuse(self, node: ast.AST, reason: str) -> Refused:
        """The exception that says where and why."""
        line = getattr(node, "lineno", self.tree.lineno)
        return Refused(f"{self.file}:{line}: {self.name}: {reason}")

    def resolve(self, node: ast.expr) -> Any:
        """What a dotted name outside the function means; raises Refused where it means nothing."""
        if isinstance(node, ast.Name):
            if node.id in self.names:
                return self.names[node.id]
            if hasattr(builtins, node.id):
                return getattr(builtins, node.id)
        elif isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        raise self.refuse(node, f"'{ast.unparse(node)}' is not known")


Places = dict[tuple[str, int], ast.FunctionDef]


def _by_place(nodes: Iterable[ast.AST]) -> Places:
    """Functions by name and first line, decorators included."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found[node.name, first] = node
    return found


class Sources:
    """Parsed functions and their effects; `bindings` replaces functions by others (an engine's hooks)."""

    def __init__(self, bindings: Mapping[Any, Any] | None = None) -> None:
        self.bindings = dict(bindings or {})
        self._files: dict[str, tuple[ast.Module, Places]] = {}
        self._sources: dict[Any, Source] = {}
        self._effects: dict[Any, frozenset[str]] = {}

    def of(self, semantics: Callable[..., Any]) -> Source:
        """The parsed function."""
        if semantics not in self._sources:
            self._sources[semantics] = Source(semantics, self._tree(semantics))
        return self._sources[semantics]

    def _tree(self, semantics: Callable[..., Any]) -> ast.FunctionDef:
        """The function's syntax tree; each file is parsed once."""
        if not inspect.isfunction(semantics):
            raise Refused(f"{semantics} is not a plain function")
        code = semantics.__code__
        if code.co_filename not in self._files:
            tree = ast.parse("".join(linecache.getlines(code.co_filename)))
            self._files[code.co_filename] = tree, _by_place(tree.body)
        tree, known = self._files[code.co_filename]
        place = code.co_name, code.co_firstlineno
        if place not in known:
            known |= _by_place(ast.walk(tree))  # a function inside another one
        found = known.get(place)
        if found is None:
            raise Refused(f"{code.co_filename}:{code.co_firstlineno}: {code.co_name}: its source cannot be read")
        return found

    def bound(self, thing: Any) -> Any:
        """What a name's meaning is replaced by, or itself."""
        try:
            return self.bindings.get(thing, thing)
        except TypeError:
            return thing

    def effects(self, semantics: Callable[..., Any]) -> frozenset[str]:
        """What a call may do: traps, writes, pc, time, synchronize, `sets:FIELD` (through everything it calls)."""
        if semantics in self._effects:
            return self._effects[semantics]
        self._effects[semantics] = frozenset()  # recursion is refused at lowering
        source = self.of(semantics)
        found: set[str] = set()
        state = source.parameters[0] if source.parameters else ""
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Raise):
                found.add("traps")
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == state:
                if isinstance(node.ctx, ast.Store):
                    found |= {"writes", "sets:" + node.attr}
                elif node.attr == "pc":
                    found.add("pc")
                if node.attr == "next_pc":
                    found.add("next_pc")
            elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
                found.add("file:" + node.value.attr)
                if isinstance(node.ctx, ast.Store):
                    found.add("writes")
            elif isinstance(node, ast.Call):
                found |= self._call_effects(source, node)
        self._effects[semantics] = frozenset(found)
        return self._effects[semantics]

    def _call_effects(self, source: Source, node: ast.Call) -> frozenset[str] | set[str]:
        callee = self.bound(source.resolve(node.func))
        module = getattr(callee, "__module__", None)
        if module == words.__name__:
            return EFFECTS.get(callee.__name__, set())
        if inspect.isfunction(callee) and not hasattr(callee, "host_word"):
            return self.effects(callee)
        return set()
