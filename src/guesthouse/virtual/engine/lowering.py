"""Lowering: reads a description's syntax tree and writes LLVM IR.

Control flow in the language is structured, so names become SSA values directly: each branch works on its own copy of
the names and a join makes phis. What a machine access becomes is the target's business (`lowering targets` are
shared functions, interpreter handlers and translated regions).
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, field
from typing import Any, Protocol

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.ir import FunctionText
from guesthouse.virtual.engine.source import EFFECTS, TRAPPING, WRITING, Source, Sources
from guesthouse.virtual.engine.values import WIDE, Refused, Value, constant
from guesthouse.virtual.spec import words
from guesthouse.virtual.spec.layout import RegisterFile, StateLayout

BINARY = {
    ast.Add: ("add", values.add),
    ast.Sub: ("sub", values.subtract),
    ast.Mult: ("mul", values.multiply),
    ast.BitAnd: ("and", values.bitwise_and),
    ast.BitOr: ("or", values.bitwise_or),
    ast.BitXor: ("xor", values.bitwise_or),
    ast.LShift: ("shl", values.shift_left),
    ast.RShift: ("shr", values.shift_right),
}
FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << b,
    "shr": lambda a, b: a >> b,
}
COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


class Target(Protocol):
    """What the machine's state and memory are to the code being written."""

    text: FunctionText
    layout: StateLayout

    def read_pc(self) -> Value: ...
    def read_field(self, name: str) -> Value: ...
    def write_field(self, name: str, value: Value) -> None: ...
    def read_register(self, file: RegisterFile, index: Value) -> Value: ...
    def write_register(self, file: RegisterFile, index: Value, value: Value) -> None: ...
    def word(self, name: str, arguments: list[Value]) -> Value | None: ...
    def call(self, source: Source, effects: frozenset[str], arguments: list[Value]) -> Value | None: ...
    def trap(self, cause: Value, value: Value) -> None: ...
    def table(self, numbers: tuple[int, ...]) -> str: ...


@dataclass
class Path:
    """What is known on one path of control: names, where the instruction goes next, whether state was written."""

    names: dict[str, Value] = field(default_factory=dict)
    next_pc: Value | None = None
    jumped: bool = False
    wrote: bool = False
    synchronizes: bool = False

    def copy(self) -> Path:
        return Path(dict(self.names), self.next_pc, self.jumped, self.wrote, self.synchronizes)


@dataclass
class Loop:
    """A loop being read: where `continue` and `break` go and the paths that went."""

    latch: str
    done: str
    rounds: list[tuple[str, Path]] = field(default_factory=list)
    exits: list[tuple[str, Path]] = field(default_factory=list)


@dataclass
class Frame:
    """One function being read: its source and the paths that left it."""

    source: Source
    state: str
    done: str
    returns: list[tuple[str, Path, Value | None]] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)


class Lowering:
    """Reads functions into `target`'s text; `restartable` checks that nothing traps after a write."""

    def __init__(self, sources: Sources, target: Target, *, restartable: bool = True) -> None:
        self.sources = sources
        self.target = target
        self.text = target.text
        self.restartable = restartable
        self.path = Path()
        self.frame: Frame
        self._depth = 0

    # --- functions ----------------------------------------------------------------------------------------------------

    def inline(self, semantics: Any, arguments: list[Value]) -> Value | None:
        """Read a function with these arguments at this place; gives its result."""
        source = self.sources.of(semantics)
        self._depth += 1
        if self._depth > 40:
            raise source.refuse(source.tree, "calls itself; recursion is not in the language")
        outer, names = getattr(self, "frame", None), self.path.names
        self.frame = Frame(source, source.parameters[0] if source.parameters else "", self.text.fresh("returned"))
        parameters = [p for p in source.parameters if source.annotations.get(p) is not words.State and p != "s"]
        if len(parameters) != len(arguments):
            raise source.refuse(source.tree, f"takes {len(parameters)} operands, not {len(arguments)}")
        self.path.names = {
            name: self._annotated(source, name, value) for name, value in zip(parameters, arguments, strict=True)
        }
        self._block(source.tree.body)
        if self.text.block is not None:
            self.frame.returns.append((self._leave(self.frame.done), self.path, None))
        result = self._join_returns(self.frame)
        self._depth -= 1
        if outer is not None:
            self.frame = outer
        self.path.names = names
        return result

    def _annotated(self, source: Source, name: str, value: Value) -> Value:
        kind = source.annotations.get(name)
        return self._width(kind, value) if isinstance(kind, type) and hasattr(kind, "bits") else value

    def _join_returns(self, frame: Frame) -> Value | None:
        if not frame.returns:
            return None
        self.text.begin(frame.done)
        wanted = frame.source.annotations.get("return") is not None
        if wanted and any(value is None for _, _, value in frame.returns):
            raise frame.source.refuse(frame.source.tree, "must return a value on every path")
        self._merge([(label, path) for label, path, _ in frame.returns], names=False)
        return self._phi([(label, value) for label, _, value in frame.returns if value]) if wanted else None

    def _leave(self, label: str) -> str:
        """End the current block with a jump; gives the block's label, for the phis there."""
        block = self.text.block
        assert block is not None
        self.text.end(f"br label %{label}")
        return block

    # --- joins --------------------------------------------------------------------------------------------------------

    def _phi(self, incoming: list[tuple[str, Value]]) -> Value:
        first = incoming[0][1]
        if all(value == first for _, value in incoming):
            return first
        low, high = values.union([value for _, value in incoming])
        flags = all(value.flag for _, value in incoming)
        texts = []
        for label, value in incoming:
            if value.flag and not flags:
                raise Refused(f"{self.frame.source.file}: {self.frame.source.name}: join of a flag and a number")
            texts.append(f"[ {value.ir}, %{label} ]")
        kind = "i1" if flags else "i64"
        return Value(self.text.value(f"phi {kind} " + ", ".join(texts)), low, high, flags)

    def _merge(self, ends: list[tuple[str, Path]], names: bool = True, condition: str = "") -> None:
        """Continue where several paths meet, at the beginning of the current block."""
        paths = [path for _, path in ends]
        merged = paths[0].copy()
        merged.wrote = any(path.wrote for path in paths)
        merged.synchronizes = any(path.synchronizes for path in paths)
        merged.jumped = any(path.jumped for path in paths)
        nexts = [path.next_pc for path in paths]
        if all(n is not None for n in nexts) and any(n != nexts[0] for n in nexts):
            merged.next_pc = self._phi([(label, path.next_pc) for label, path in ends if path.next_pc])
            if condition and len(ends) == 2 and nexts[0] and nexts[1]:
                merged.next_pc = Value(
                    merged.next_pc.ir, 0, values.U64, choice=(condition, nexts[0], nexts[1])
                )
        if names:
            shared = [n for n in paths[0].names if all(n in path.names for path in paths)]
            merged.names = {n: self._phi([(label, path.names[n]) for label, path in ends]) for n in shared}
        self.path = merged

    # --- statements ---------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if self.text.block is None:
                return
            getattr(self, "_do_" + type(statement).__name__, self._do_unknown)(statement)

    def _do_unknown(self, node: ast.stmt) -> None:
        raise self._refuse(node, f"'{type(node).__name__}' statements are not in the language")

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

    def _do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            if not isinstance(node.value, ast.Call):
                raise self._refuse(node, "an expression that does nothing")
            self._call(node.value, wanted=False)

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self._expression(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            raise self._refuse(node, "a declaration needs a value")
        self._assign(node.target, self._expression(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        reading = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node)
        ast.fix_missing_locations(reading)
        self._assign(node.target, self._binary(node, node.op, self._expression(reading), self._expression(node.value)))

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.path.names[target.id] = value
            return
        number = self.number(value)
        if isinstance(target, ast.Attribute) and self._is_state(target.value):
            if target.attr == "next_pc":
                self.path.next_pc, self.path.jumped = number, True
            else:
                self.target.write_field(target.attr, number)
                self.path.wrote = True
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute):
            self.target.write_register(self._file(target.value), self._index(target), number)
            self.path.wrote = True
        else:
            raise self._refuse(target, "assignment goes to a name, a field or a register")

    def _do_If(self, node: ast.If) -> None:
        test = self._flag(self._expression(node.test), node.test)
        if test.constant is not None:
            self._block(node.body if test.constant else node.orelse)
            return
        yes, no, join = (self.text.fresh(stem) for stem in ("then", "else", "join"))
        self.text.branch(test.ir, yes, no)
        before = self.path
        ends: list[tuple[str, Path]] = []
        for label, body in ((yes, node.body), (no, node.orelse)):
            self.text.begin(label)
            self.path = before.copy()
            self._block(body)
            if self.text.block is not None:
                ends.append((self.text.block, self.path))
                self.text.end(f"br label %{join}")
        self._meet(ends, join, test.ir if len(ends) == 2 else "")

    def _meet(self, ends: list[tuple[str, Path]], join: str, condition: str = "") -> None:
        if ends:
            self.text.begin(join)
            self._merge(ends, condition=condition)

    def _do_Match(self, node: ast.Match) -> None:
        subject = self.number(self._expression(node.subject))
        cases: list[tuple[list[int] | None, list[ast.stmt]]] = []
        for case in node.cases:
            if case.guard is not None:
                raise self._refuse(case.pattern, "guards are not in the language")
            cases.append((self._pattern_values(case.pattern), case.body))
        if subject.constant is not None:
            for numbers, body in cases:
                if numbers is None or subject.constant in numbers:
                    self._block(body)
                    return
            return
        join, default = self.text.fresh("join"), self.text.fresh("default")
        labels = [default if numbers is None else self.text.fresh("case") for numbers, _ in cases]
        arms = " ".join(
            f"i64 {constant(n).ir}, label %{label}"
            for (numbers, _), label in zip(cases, labels, strict=True)
            for n in numbers or ()
        )
        self.text.end(f"switch i64 {subject.ir}, label %{default} [ {arms} ]")
        before, ends = self.path, []
        bodies = [(label, body) for (_, body), label in zip(cases, labels, strict=True)]
        if default not in labels:
            bodies.append((default, []))
        for label, body in bodies:
            self.text.begin(label)
            self.path = before.copy()
            self._block(body)
            if self.text.block is not None:
                ends.append((self.text.block, self.path))
                self.text.end(f"br label %{join}")
        self._meet(ends, join)

    def _pattern_values(self, pattern: ast.pattern) -> list[int] | None:
        if isinstance(pattern, ast.MatchValue):
            value = self._expression(pattern.value)
            if value.constant is None:
                raise self._refuse(pattern, "a case must be a constant")
            return [value.constant]
        if isinstance(pattern, ast.MatchOr):
            return [n for part in pattern.patterns for n in self._pattern_values(part) or ()]
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None:
            return None
        raise self._refuse(pattern, "a case is a constant, several with |, or _")

    def _do_For(self, node: ast.For) -> None:
        start, stop, step = self._range(node.iter)
        if not isinstance(node.target, ast.Name) or node.orelse:
            raise self._refuse(node, "a loop counts one name through a range, without else")
        stores = (n for child in node.body for n in ast.walk(child) if isinstance(n, ast.Name))
        assigned = {n.id for n in stores if isinstance(n.ctx, ast.Store)}
        carried = {n: self.number(v) for n, v in self.path.names.items() if n in assigned}
        head, body = self.text.fresh("head"), self.text.fresh("body")
        loop = Loop(self.text.fresh("latch"), self.text.fresh("done"))
        before = self._leave(head)
        self.text.begin(head)
        # What comes round is known only after the body: its phis are written into this place then.
        place = self.text.mark()
        counter = "%" + self.text.fresh("i")
        phis = {name: Value("%" + self.text.fresh("p"), -WIDE, WIDE) for name in carried}
        self.path.names |= phis
        low, high = values.union([start, stop])
        op = "lt" if step > 0 else "gt"
        more = self._compare_values(op, Value(counter, min(low, high + step), max(high, low + step)), stop, node)
        self.text.branch(more.ir, body, loop.done)
        loop.exits.append((head, self.path))
        self.text.begin(body)
        self.path = self.path.copy()
        self.path.names[node.target.id] = Value(counter, low, high - 1 if step > 0 else high)
        self.frame.loops.append(loop)
        self._block(node.body)
        if self.text.block is not None:
            loop.rounds.append((self._leave(loop.latch), self.path))
        self.frame.loops.pop()
        lines = self._close_loop(loop, before, head, counter, (start, step), carried, phis)
        self.text.insert(place, lines)
        self.text.begin(loop.done)
        for _, path in loop.exits:
            path.names.pop(node.target.id, None)
        self._merge(loop.exits)

    def _close_loop(
        self, loop: Loop, before: str, head: str, counter: str, count: tuple[Value, int],
        carried: dict[str, Value], phis: dict[str, Value],
    ) -> list[str]:
        """Write the latch; gives the phis that belong at the loop's head."""
        start, step = count
        back = {name: "" for name in carried}
        round_back = ""
        if loop.rounds:
            self.text.begin(loop.latch)
            self._merge(loop.rounds)
            back = {name: f", [ {self._carried(name)}, %{loop.latch} ]" for name in carried}
            round_back = f", [ {self.text.value(f'add i64 {counter}, {step}')}, %{loop.latch} ]"
            loop.exits[0][1].wrote |= self.path.wrote
            self.text.end(f"br label %{head}")
        return [f"{counter} = phi i64 [ {start.ir}, %{before} ]{round_back}"] + [
            f"{phis[name].ir} = phi i64 [ {carried[name].ir}, %{before} ]{back[name]}" for name in carried
        ]

    def _carried(self, name: str) -> str:
        value = self.path.names[name]
        if value.flag:
            source = self.frame.source
            raise source.refuse(source.tree, f"'{name}' is a flag carried by a loop; write `1 if ... else 0`")
        return value.ir

    def _range(self, node: ast.expr) -> tuple[Value, Value, int]:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
            raise self._refuse(node, "a loop runs over range(...)")
        bounds = [self._exact(self.number(self._expression(a)), a) for a in node.args]
        step = bounds[2].constant if len(bounds) == 3 else 1
        if not step:
            raise self._refuse(node, "the step of a range must be a constant other than 0")
        start, stop = (constant(0), bounds[0]) if len(bounds) == 1 else bounds[:2]
        return start, stop, step

    def _do_Break(self, node: ast.Break) -> None:
        loop = self.frame.loops[-1]
        loop.exits.append((self._leave(loop.done), self.path))

    def _do_Continue(self, node: ast.Continue) -> None:
        loop = self.frame.loops[-1]
        loop.rounds.append((self._leave(loop.latch), self.path))

    def _do_Return(self, node: ast.Return) -> None:
        value = None
        if node.value is not None:
            value = self._expression(node.value)
            kind = self.frame.source.annotations.get("return")
            if isinstance(kind, type) and hasattr(kind, "bits"):
                value = self._width(kind, self.number(value))
        self.frame.returns.append((self._leave(self.frame.done), self.path, value))

    def _do_Raise(self, node: ast.Raise) -> None:
        call = node.exc
        if not (isinstance(call, ast.Call) and self.frame.source.resolve(call.func) is words.Trap):
            raise self._refuse(node, "only Trap(cause, value) is raised")
        arguments = [self.number(self._expression(a)) for a in call.args]
        self._may_trap(node)
        self.target.trap(arguments[0], arguments[1] if len(arguments) > 1 else constant(0))
        self.text.block = None

    # --- expressions --------------------------------------------------------------------------------------------------

    def _expression(self, node: ast.expr) -> Value:
        return getattr(self, "_of_" + type(node).__name__, self._of_unknown)(node)  # type: ignore[no-any-return]

    def _of_unknown(self, node: ast.expr) -> Value:
        raise self._refuse(node, f"'{type(node).__name__}' expressions are not in the language")

    def _of_Constant(self, node: ast.Constant) -> Value:
        return self._known(node.value, node)

    def _known(self, thing: Any, node: ast.AST) -> Value:
        if isinstance(thing, bool):
            return Value("true" if thing else "false", int(thing), int(thing), flag=True)
        if isinstance(thing, int):
            return constant(int(thing))
        raise self._refuse(node, f"'{ast.unparse(node)}' is not a number")

    def _of_Name(self, node: ast.Name) -> Value:
        if node.id in self.path.names:
            return self.path.names[node.id]
        return self._known(self.sources.bound(self.frame.source.resolve(node)), node)

    def _of_Attribute(self, node: ast.Attribute) -> Value:
        if not self._is_state(node.value):
            owner = ast.unparse(node)
            if owner in self.sources.bindings:
                return self._known(self.sources.bindings[owner], node)
            return self._known(self.frame.source.resolve(node), node)
        if node.attr == "pc":
            return self.target.read_pc()
        if node.attr == "next_pc":
            if self.path.next_pc is None:
                raise self._refuse(node, "next_pc is known in instructions only")
            return self.path.next_pc
        try:
            return self.target.read_field(node.attr)
        except KeyError:
            raise self._refuse(node, f"the state has no field '{node.attr}'") from None

    def _of_Subscript(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute) and self._is_state(node.value.value):
            return self.target.read_register(self._file(node.value), self._index(node))
        table = self.frame.source.resolve(node.value)
        if not (isinstance(table, tuple) and all(isinstance(n, int) for n in table)):
            raise self._refuse(node, "only registers and constant tables are indexed")
        index = self.number(self._expression(node.slice))
        if not (index.exact and 0 <= index.low and index.high < len(table)):
            raise self._refuse(node, f"the index must be within 0..{len(table) - 1}")
        if index.constant is not None:
            return constant(table[index.constant])
        place = self.text.value(f"getelementptr i64, ptr {self.target.table(table)}, i64 {index.ir}")
        return Value(self.text.value(f"load i64, ptr {place}"), min(table), max(table))

    def _of_UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self._expression(node.operand)
        if isinstance(node.op, ast.Not):
            test = self._flag(value, node)
            if test.constant is not None:
                return self._known(not test.constant, node)
            return Value(self.text.value(f"xor i1 {test.ir}, true"), 0, 1, flag=True)
        number = self.number(value)
        if isinstance(node.op, ast.USub):
            return self._binary(node, ast.Sub(), constant(0), number)
        if isinstance(node.op, ast.Invert):
            return self._binary(node, ast.Sub(), constant(-1), number)
        raise self._refuse(node, "unary + does nothing")

    def _of_BinOp(self, node: ast.BinOp) -> Value:
        return self._binary(node, node.op, self._expression(node.left), self._expression(node.right))

    def _binary(self, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Value:
        if type(op) not in BINARY:
            raise self._refuse(node, f"operator '{type(op).__name__}' is not in the language; see spec.words")
        name, interval = BINARY[type(op)]
        if left.flag and right.flag and name in ("and", "or", "xor"):
            if left.constant is None or right.constant is None:
                return Value(self.text.value(f"{name} i1 {left.ir}, {right.ir}"), 0, 1, flag=True)
        a, b = self.number(left), self.number(right)
        if name in ("shl", "shr") and not (b.low >= 0 and b.high <= 63):
            if b.constant is None or b.constant < 0 or name == "shr":
                raise self._refuse(node, "a shift amount must be within 0..63; mask it")
            return constant(0).within(a.low << b.constant, a.high << b.constant)
        if a.constant is not None and b.constant is not None:
            return constant(FOLD[name](a.constant, b.constant))
        low, high = interval(a, b)
        if a.pc_offset is not None and b.constant is not None and name in ("add", "sub"):
            offset = b.constant if name == "add" else -b.constant
            return Value(self.text.value(f"{name} i64 {a.ir}, {b.ir}"), low, high, pc_offset=a.pc_offset + offset)
        if name == "shr":
            self._exact(a, node)
            name = "lshr" if a.unsigned else "ashr"
        return self._folded_value(name, a, b, low, high)

    def _folded_value(self, name: str, a: Value, b: Value, low: int, high: int) -> Value:
        if b.constant == 0 and name in ("add", "sub", "or", "xor", "shl", "lshr", "ashr"):
            return a
        if a.constant == 0 and name in ("add", "or", "xor"):
            return b
        if name == "and" and b.constant is not None and a.low >= 0 and a.exact:
            if b.constant & ((1 << a.high.bit_length()) - 1) == (1 << a.high.bit_length()) - 1:
                return a
        return Value(self.text.value(f"{name} i64 {a.ir}, {b.ir}"), low, high)

    def _of_Compare(self, node: ast.Compare) -> Value:
        left = self._expression(node.left)
        result: Value | None = None
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._expression(right_node)
            if type(op) not in COMPARE:
                raise self._refuse(node, "compare with == != < <= > >=")
            part = self._compare_values(COMPARE[type(op)], self.number(left), self.number(right), node)
            result = part if result is None else self._binary(node, ast.BitAnd(), result, part)
            left = right
        assert result is not None
        return result

    def _compare_values(self, op: str, a: Value, b: Value, node: ast.AST) -> Value:
        self._exact(a, node)
        self._exact(b, node)
        if a.high < b.low or a.low > b.high:
            below = a.high < b.low
            return self._known({"eq": False, "ne": True, "lt": below, "le": below}.get(op, not below), node)
        if a.constant is not None and b.constant is not None:
            return self._known(op in ("eq", "le", "ge"), node)
        if a.signed and b.signed:
            prefix = "s"
        elif a.unsigned and b.unsigned:
            prefix = "u"
        else:
            raise self._refuse(node, "one side may be negative, the other above 2**63: wrap them in one kind of width")
        code = op if op in ("eq", "ne") else prefix + op
        return Value(self.text.value(f"icmp {code} i64 {a.ir}, {b.ir}"), 0, 1, flag=True)

    def _of_BoolOp(self, node: ast.BoolOp) -> Value:
        conjunction = isinstance(node.op, ast.And)
        result = self._flag(self._expression(node.values[0]), node)
        for operand in node.values[1:]:
            if result.constant is not None:
                if bool(result.constant) != conjunction:
                    return result
                result = self._flag(self._expression(operand), node)
            elif self._pure(operand):
                other = self._flag(self._expression(operand), node)
                if other.constant is not None:
                    result = result if bool(other.constant) == conjunction else other
                else:
                    name = "and" if conjunction else "or"
                    result = Value(self.text.value(f"{name} i1 {result.ir}, {other.ir}"), 0, 1, flag=True)
            else:
                result = self._short_circuit(result, operand, conjunction)
        return result

    def _short_circuit(self, first: Value, operand: ast.expr, conjunction: bool) -> Value:
        more, join = self.text.fresh("more"), self.text.fresh("join")
        before = self.text.block
        assert before is not None
        self.text.branch(first.ir, *((more, join) if conjunction else (join, more)))
        kept = self.path.copy()
        self.text.begin(more)
        other = self._flag(self._expression(operand), operand)
        ends = [(before, kept), (self.text.block or more, self.path)]
        self.text.begin(join)
        self._merge(ends)
        return self._phi([(before, self._known(not conjunction, operand)), (ends[1][0], other)])

    def _of_IfExp(self, node: ast.IfExp) -> Value:
        test = self._flag(self._expression(node.test), node.test)
        if test.constant is not None:
            return self._expression(node.body if test.constant else node.orelse)
        if self._pure(node.body) and self._pure(node.orelse):
            a, b = self._alike(self._expression(node.body), self._expression(node.orelse))
            if a == b:
                return a
            kind = "i1" if a.flag else "i64"
            low, high = values.union([a, b])
            result = self.text.value(f"select i1 {test.ir}, {kind} {a.ir}, {kind} {b.ir}")
            return Value(result, low, high, a.flag)
        yes, no, join = (self.text.fresh(stem) for stem in ("then", "else", "join"))
        self.text.branch(test.ir, yes, no)
        before, ends, results = self.path, [], []
        for label, body in ((yes, node.body), (no, node.orelse)):
            self.text.begin(label)
            self.path = before.copy()
            results.append(self.number(self._expression(body)))
            assert self.text.block is not None
            ends.append((self.text.block, self.path))
            self.text.end(f"br label %{join}")
        self.text.begin(join)
        self._merge(ends)
        return self._phi([(label, value) for (label, _), value in zip(ends, results, strict=True)])

    def _alike(self, a: Value, b: Value) -> tuple[Value, Value]:
        return (a, b) if a.flag == b.flag else (self.number(a), self.number(b))

    def _pure(self, node: ast.expr) -> bool:
        """Whether evaluating it early does no harm: no calls but widths and arithmetic words."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                callee = self.frame.source.resolve(part.func)
                if getattr(callee, "__module__", "") != words.__name__ or callee.__name__ in EFFECTS:
                    return False
                if callee.__name__ in ("divide", "remainder", "physical_load", "physical_compare_exchange"):
                    return False
        return True

    # --- calls --------------------------------------------------------------------------------------------------------

    def _of_Call(self, node: ast.Call) -> Value:
        result = self._call(node, wanted=True)
        if result is None:
            raise self._refuse(node, "this call gives no value")
        return result

    def _call(self, node: ast.Call, wanted: bool) -> Value | None:
        callee = self.sources.bound(self.frame.source.resolve(node.func))
        if node.keywords:
            raise self._refuse(node, "keyword arguments are not in the language")
        state = bool(node.args) and self._is_state(node.args[0])
        arguments = [self._expression(a) for a in (node.args[1:] if state else node.args)]
        if isinstance(callee, type) and hasattr(callee, "bits"):
            return self._width(callee, self.number(arguments[0]))
        name = getattr(callee, "__name__", "")
        if getattr(callee, "__module__", "") == words.__name__ or getattr(callee, "host_word", False):
            return self._word(node, name, [self.number(a) for a in arguments])
        if not inspect.isfunction(callee):
            raise self._refuse(node, f"'{ast.unparse(node.func)}' is not a function of the language")
        if getattr(callee, "shared", False):
            return self._call_shared(node, callee, arguments)
        return self.inline(callee, arguments)

    def _call_shared(self, node: ast.Call, callee: Any, arguments: list[Value]) -> Value | None:
        source, effects = self.sources.of(callee), self.sources.effects(callee)
        if "traps" in effects:
            self._may_trap(node)
        parameters = [p for p in source.parameters if source.annotations.get(p) is not words.State]
        if len(parameters) != len(arguments):
            raise self._refuse(node, f"{source.name} takes {len(parameters)} operands, not {len(arguments)}")
        numbers = [self.number(self._annotated(source, p, a)) for p, a in zip(parameters, arguments, strict=True)]
        result = self.target.call(source, effects, numbers)
        self.path.wrote |= "writes" in effects
        self.path.synchronizes |= "synchronize" in effects
        return result

    def _word(self, node: ast.Call, name: str, arguments: list[Value]) -> Value | None:
        if name in TRAPPING:
            self._may_trap(node)
        if name in ("divide", "remainder", "minimum", "maximum", "multiply_high", "count_leading_zeros",
                    "count_trailing_zeros", "count_ones", "byte_swap"):
            for argument in arguments:
                self._exact(argument, node)
        try:
            result = self.target.word(name, arguments)
        except Refused as error:
            raise self._refuse(node, str(error)) from None
        self.path.wrote |= name in WRITING
        self.path.synchronizes |= "synchronize" in EFFECTS.get(name, ())
        return result

    def _may_trap(self, node: ast.AST) -> None:
        if self.restartable and self.path.wrote:
            raise self._refuse(node, "may trap after state was written; an instruction changes state last")

    # --- conversions --------------------------------------------------------------------------------------------------

    def _width(self, kind: Any, value: Value) -> Value:
        bits, signed = kind.bits, kind.signed
        value = self.number(value)
        if kind is words.flag:
            return self._flag(value, self.frame.source.tree) if value.exact else value
        low = -(1 << (bits - 1)) if signed else 0
        high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
        if value.low >= low and value.high <= high:
            return value
        if value.constant is not None:
            return constant(kind(value.constant))
        if bits == 64:
            return Value(value.ir, low, high, pc_offset=value.pc_offset, choice=value.choice)
        if signed:
            narrow = self.text.value(f"trunc i64 {value.ir} to i{bits}")
            return Value(self.text.value(f"sext i{bits} {narrow} to i64"), low, high)
        return Value(self.text.value(f"and i64 {value.ir}, {high}"), low, high)

    def number(self, value: Value) -> Value:
        """A flag as an i64, anything else as it is."""
        if not value.flag:
            return value
        if value.constant is not None:
            return constant(value.constant)
        return Value(self.text.value(f"zext i1 {value.ir} to i64"), 0, 1)

    def _flag(self, value: Value, node: ast.AST) -> Value:
        if value.flag:
            return value
        return self._compare_values("ne", value, constant(0), node)

    def _exact(self, value: Value, node: ast.AST) -> Value:
        if not value.exact:
            raise self._refuse(node, "the value may not fit its word here; wrap it in u64(), s64() or their kin")
        return value

    def _file(self, node: ast.Attribute) -> RegisterFile:
        found = self.target.layout.fields.get(node.attr) if self._is_state(node.value) else None
        if not isinstance(found, RegisterFile):
            raise self._refuse(node, f"the state has no register file '{node.attr}'")
        return found

    def _index(self, node: ast.Subscript) -> Value:
        file = self._file(node.value) if isinstance(node.value, ast.Attribute) else None
        index = self.number(self._expression(node.slice))
        if file is None or index.low < 0 or index.high >= file.count:
            raise self._refuse(node, "the register number must be provably within the file")
        return index

    def _is_state(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.frame.state and node.id not in self.path.names

    def _refuse(self, node: ast.AST, reason: str) -> Refused:
        return self.frame.source.refuse(node, reason)
