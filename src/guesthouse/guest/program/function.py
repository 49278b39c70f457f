"""One function of a guest program as LLVM IR; `lowering` says what the language is."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from guesthouse.guest.program.refusal import Refused
from guesthouse.guest.program.words import Buffer

ARITHMETIC: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "shl",
    ast.RShift: "ashr",
    ast.FloorDiv: "udiv",
    ast.Mod: "urem",
}
COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "slt",
    ast.LtE: "sle",
    ast.Gt: "sgt",
    ast.GtE: "sge",
}
WIDTHS = {8, 16, 32, 64}
ARGUMENTS_OF_CALL = 7


class Home(Protocol):
    """The program that a function belongs to."""

    def function(self, function: Callable[..., Any]) -> str:
        """The symbol of another function."""

    def data(self, item: Buffer | bytes) -> str:
        """The symbol of data."""


class FunctionWriter:
    """Writes one function; names live in stack slots, which LLVM makes registers of."""

    def __init__(self, home: Home, tree: ast.FunctionDef, names: Mapping[str, Any], file: str) -> None:
        self._home = home
        self._tree = tree
        self._names = names
        self._file = file
        self._lines: list[str] = []
        self._slots: list[str] = []
        self._numbers = 0
        self._loops: list[tuple[str, str]] = []  # where `continue` and `break` go
        self._open = True  # whether the current block still lacks its end
        parameters = [argument.arg for argument in tree.args.args]
        if not parameters:
            raise self._refuse(tree, "the first parameter is the system")
        self._system, self._parameters = parameters[0], parameters[1:]
        assigned = (n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        self._locals = sorted({*self._parameters, *assigned})

    def write(self, symbol: str, linkage: str = "") -> str:
        """The function's IR; raises Refused."""
        for statement in self._tree.body:
            self._statement(statement)
        if self._open:
            self._end("ret i64 0")
        arguments = ", ".join(f"i64 %p.{name}" for name in self._parameters)
        slots = [f"  {slot} = alloca i64" for slot in [*(f"%v.{name}" for name in self._locals), *self._slots]]
        slots += [f"  store i64 %p.{name}, ptr %v.{name}" for name in self._parameters]
        head = f"define {linkage}i64 @{symbol}({arguments}) #0 {{\nstart:"
        return "\n".join([head, *slots, *self._lines, "}"])

    def _refuse(self, node: ast.AST, reason: str) -> Refused:
        line = getattr(node, "lineno", self._tree.lineno)
        return Refused(f"{self._file}:{line}: {self._tree.name}: {reason}")

    # --- text ---------------------------------------------------------------------------------------------------------

    def _fresh(self, stem: str) -> str:
        self._numbers += 1
        return f"{stem}.{self._numbers}"

    def _put(self, line: str) -> None:
        self._lines.append(f"  {line}")

    def _value(self, operation: str) -> str:
        name = "%" + self._fresh("n")
        self._put(f"{name} = {operation}")
        return name

    def _slot(self) -> str:
        name = "%" + self._fresh("s")
        self._slots.append(name)
        return name

    def _end(self, line: str) -> None:
        self._put(line)
        self._open = False

    def _begin(self, label: str) -> None:
        if self._open:
            self._put(f"br label %{label}")
        self._lines.append(f"{label}:")
        self._open = True

    # --- statements ---------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if not self._open:
            raise self._refuse(node, "this is never reached")
        writer = getattr(self, f"_do_{type(node).__name__}", None)
        if writer is None:
            raise self._refuse(node, f"{type(node).__name__!r} statements are not in the language")
        writer(node)

    def _do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self._expression(node.value)

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

    def _store(self, target: ast.expr, value: str) -> None:
        if not isinstance(target, ast.Name) or target.id == self._system:
            raise self._refuse(target, "only local names are assigned")
        self._put(f"store i64 {value}, ptr %v.{target.id}")

    def _do_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if len(node.targets) != 1 or isinstance(target, ast.Tuple) != isinstance(node.value, ast.Tuple):
            raise self._refuse(node, "one name is assigned a value, or several as many")
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            values = [self._expression(part) for part in node.value.elts]
            for part, value in zip(target.elts, values, strict=True):
                self._store(part, value)
        else:
            self._store(target, self._expression(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise self._refuse(node, "only local names are assigned")
        before = self._value(f"load i64, ptr %v.{node.target.id}")
        self._store(node.target, self._arithmetic(node, node.op, before, self._expression(node.value)))

    def _do_Return(self, node: ast.Return) -> None:
        self._end(f"ret i64 {self._expression(node.value) if node.value else '0'}")

    def _do_If(self, node: ast.If) -> None:
        then, other, join = self._fresh("then"), self._fresh("else"), self._fresh("join")
        self._branch(node.test, then, other)
        self._begin(then)
        self._block(node.body)
        meets = self._open
        if self._open:
            self._end(f"br label %{join}")
        self._begin(other)
        self._block(node.orelse)
        if self._open or meets:
            self._begin(join)

    def _do_While(self, node: ast.While) -> None:
        if node.orelse:
            raise self._refuse(node, "a loop has no else")
        head, body, done = self._fresh("while"), self._fresh("body"), self._fresh("done")
        self._begin(head)
        self._branch(node.test, body, done)
        self._round(node.body, body, head, done)
        self._begin(done)

    def _round(self, statements: list[ast.stmt], body: str, again: str, done: str) -> None:
        self._begin(body)
        self._loops.append((again, done))
        self._block(statements)
        self._loops.pop()
        if self._open:
            self._end(f"br label %{again}")

    def _do_For(self, node: ast.For) -> None:
        if not isinstance(node.target, ast.Name) or node.orelse:
            raise self._refuse(node, "a loop counts one name through a range, without else")
        start, stop, step = self._range(node.iter)
        slot = f"%v.{node.target.id}"
        head, body, latch, done = (self._fresh(stem) for stem in ("for", "body", "next", "done"))
        counter = self._slot()
        self._put(f"store i64 {start}, ptr {counter}")
        self._begin(head)
        now = self._value(f"load i64, ptr {counter}")
        more = self._value(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {stop}")
        self._end(f"br i1 {more}, label %{body}, label %{done}")
        self._begin(body)
        self._put(f"store i64 {now}, ptr {slot}")
        self._round(node.body, self._fresh("round"), latch, done)
        self._begin(latch)
        after = self._value(f"add i64 {now}, {step}")
        self._put(f"store i64 {after}, ptr {counter}")
        self._end(f"br label %{head}")
        self._begin(done)

    def _range(self, node: ast.expr) -> tuple[str, str, int]:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
            raise self._refuse(node, "a loop runs over range(...)")
        bounds = [self._expression(argument) for argument in node.args[:2]]
        step = self._constant(node.args[2]) if len(node.args) == 3 else 1
        if not isinstance(step, int) or not step:
            raise self._refuse(node, "the step of a range is a constant other than 0")
        return ("0", bounds[0], step) if len(bounds) == 1 else (bounds[0], bounds[1], step)

    def _do_Break(self, node: ast.Break) -> None:
        self._end(f"br label %{self._loops[-1][1]}")

    def _do_Continue(self, node: ast.Continue) -> None:
        self._end(f"br label %{self._loops[-1][0]}")

    # --- conditions ---------------------------------------------------------------------------------------------------

    def _branch(self, node: ast.expr, then: str, other: str) -> None:
        """Go one way or the other; `and` and `or` look at their right side only where it matters."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self._branch(node.operand, other, then)
        elif isinstance(node, ast.BoolOp):
            for part in node.values[:-1]:
                following = self._fresh("test")
                both = isinstance(node.op, ast.And)
                self._branch(part, following if both else then, other if both else following)
                self._begin(following)
            self._branch(node.values[-1], then, other)
        else:
            self._end(f"br i1 {self._test(node)}, label %{then}, label %{other}")

    def _test(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Compare):
            return self._value(f"icmp ne i64 {self._expression(node)}, 0")
        operands = [self._expression(part) for part in (node.left, *node.comparators)]
        tests = []
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            if type(operator) not in COMPARISONS:
                raise self._refuse(node, "this comparison is not in the language")
            tests.append(self._value(f"icmp {COMPARISONS[type(operator)]} i64 {left}, {right}"))
        while len(tests) > 1:
            tests[-2:] = [self._value(f"and i1 {tests[-2]}, {tests[-1]}")]
        return tests[0]

    def _choice(self, node: ast.expr, then: ast.expr | None, other: ast.expr | None) -> str:
        """A value by a condition: 1 or 0 where there is no expression for it."""
        slot = self._slot()
        yes, no, join = self._fresh("yes"), self._fresh("no"), self._fresh("chosen")
        self._branch(node, yes, no)
        self._begin(yes)
        self._put(f"store i64 {self._expression(then) if then else '1'}, ptr {slot}")
        self._end(f"br label %{join}")
        self._begin(no)
        self._put(f"store i64 {self._expression(other) if other else '0'}, ptr {slot}")
        self._begin(join)
        return self._value(f"load i64, ptr {slot}")

    # --- expressions --------------------------------------------------------------------------------------------------

    def _expression(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id in self._locals:
            return self._value(f"load i64, ptr %v.{node.id}")
        if isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return self._choice(node, None, None)
        if isinstance(node, ast.IfExp):
            return self._choice(node.test, node.body, node.orelse)
        if isinstance(node, ast.BinOp):
            left = self._expression(node.left)
            return self._arithmetic(node, node.op, left, self._expression(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
            operation = "sub i64 0," if isinstance(node.op, ast.USub) else "xor i64 -1,"
            return self._value(f"{operation} {self._expression(node.operand)}")
        if isinstance(node, ast.Call):
            return self._call(node)
        constant = self._constant(node)
        if not isinstance(constant, int):
            raise self._refuse(node, f"'{ast.unparse(node)}' is no integer")
        return str(int(constant))

    def _arithmetic(self, node: ast.AST, operator: ast.operator, left: str, right: str) -> str:
        if type(operator) not in ARITHMETIC:
            raise self._refuse(node, "this operator is not in the language")
        return self._value(f"{ARITHMETIC[type(operator)]} i64 {left}, {right}")

    def _constant(self, node: ast.expr) -> Any:
        """What a constant or a dotted name outside the function means."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._constant(node.operand)
        if isinstance(node, ast.Name) and node.id in self._names:
            return self._names[node.id]
        if isinstance(node, ast.Attribute):
            owner = self._constant(node.value)
            if hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        raise self._refuse(node, f"'{ast.unparse(node)}' is not known here")

    def _call(self, node: ast.Call) -> str:
        if node.keywords:
            raise self._refuse(node, "arguments have no names")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(node.func, ast.Attribute) and isinstance(owner, ast.Name) and owner.id == self._system:
            return self._word(node, node.func.attr)
        function = self._constant(node.func)
        first, *others = node.args or [node.func]
        if not (isinstance(first, ast.Name) and first.id == self._system) or not callable(function):
            raise self._refuse(node, "what is called is a function whose first argument is the system")
        wanted = function.__code__.co_argcount - 1
        if len(others) != wanted:
            raise self._refuse(node, f"{function.__name__} takes {wanted} arguments beside the system")
        arguments = ", ".join(f"i64 {self._expression(argument)}" for argument in others)
        return self._value(f"call i64 @{self._home.function(function)}({arguments})")

    def _word(self, node: ast.Call, word: str) -> str:
        """A call of one of the system's own words."""
        if word == "at" and len(node.args) == 1:
            item = self._constant(node.args[0])
            if not isinstance(item, Buffer | bytes):
                raise self._refuse(node, "only buffers and constant bytes have an address")
            return self._value(f"ptrtoint ptr @{self._home.data(item)} to i64")
        arguments = [self._expression(argument) for argument in node.args]
        if word == "call" and 1 <= len(arguments) <= ARGUMENTS_OF_CALL:
            arguments += ["0"] * (ARGUMENTS_OF_CALL - len(arguments))
            return self._value(f"call i64 @system_call({', '.join(f'i64 {a}' for a in arguments)})")
        kind, digits = word.rstrip("0123456789"), word.lstrip("abcdefghijklmnopqrstuvwxyz")
        width = int(digits or 0)
        if width in WIDTHS and (kind, len(arguments)) in (("load", 1), ("store", 2)):
            return self._access(kind, width, arguments)
        raise self._refuse(node, f"the system has no word '{word}' with {len(arguments)} arguments")

    def _access(self, kind: str, width: int, arguments: list[str]) -> str:
        place = self._value(f"inttoptr i64 {arguments[0]} to ptr")
        if kind == "load":
            value = self._value(f"load i{width}, ptr {place}")
            return value if width == 64 else self._value(f"zext i{width} {value} to i64")
        value = arguments[1] if width == 64 else self._value(f"trunc i64 {arguments[1]} to i{width}")
        self._put(f"store i{width} {value}, ptr {place}")
        return "0"
