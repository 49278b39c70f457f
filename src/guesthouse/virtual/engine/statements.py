"""Statements in lowering, by kind of syntax node (`_do_...`): each changes the present path or splits it."""

from __future__ import annotations

import ast

from guesthouse.virtual.engine import values
from guesthouse.virtual.engine.arithmetic import is_width
from guesthouse.virtual.engine.expressions import Expressions
from guesthouse.virtual.engine.reading import Loop, Path
from guesthouse.virtual.engine.values import WIDE, Value, constant
from guesthouse.virtual.spec import words


class Statements(Expressions):
    """Fourth layer of lowering: everything that changes names, state, or where control goes."""

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

    # --- branches -----------------------------------------------------------------------------------------------------

    def _do_If(self, node: ast.If) -> None:
        test = self._flag(self._expression(node.test), node.test)
        if test.constant is not None:
            self._block(node.body if test.constant else node.orelse)
            return
        yes, no, join = (self.text.fresh(stem) for stem in ("then", "else", "join"))
        mark, block, known = self.text.mark(), self.text.block, self.text.known
        self.text.branch(test.ir, yes, no)
        ends = self._bodies([(yes, node.body), (no, node.orelse)], join)
        if len(ends) == 2 and self.text.straighten(mark, block, known):
            self._merge(ends, condition=test.ir, straight=True)
        else:
            self._meet(ends, join, test.ir if len(ends) == 2 else "")

    def _bodies(self, bodies: list[tuple[str, list[ast.stmt]]], join: str) -> list[tuple[str, Path]]:
        """Read alternatives, each from the present path; gives those that arrive at the block `join`."""
        before, ends = self.path, []
        for label, body in bodies:
            self.text.begin(label)
            self.path = before.copy()
            self._block(body)
            if self.text.block is not None:
                ends.append((self._leave(join), self.path))
        return ends

    def _do_Match(self, node: ast.Match) -> None:
        subject = self.number(self._expression(node.subject))
        cases: list[tuple[list[int] | None, list[ast.stmt]]] = []
        for case in node.cases:
            if case.guard is not None:
                raise self._refuse(case.pattern, "guards are not in the language")
            cases.append((self._pattern_values(case.pattern), case.body))
        if subject.constant is not None:
            fitting = (body for numbers, body in cases if numbers is None or subject.constant in numbers)
            self._block(next(fitting, []))
            return
        join, default = self.text.fresh("join"), self.text.fresh("default")
        labels = [default if numbers is None else self.text.fresh("case") for numbers, _ in cases]
        arms = " ".join(
            f"i64 {constant(n).ir}, label %{label}"
            for (numbers, _), label in zip(cases, labels, strict=True)
            for n in numbers or ()
        )
        self.text.end(f"switch i64 {subject.ir}, label %{default} [ {arms} ]")
        bodies = [(label, body) for (_, body), label in zip(cases, labels, strict=True)]
        if default not in labels:
            bodies.append((default, []))
        self._meet(self._bodies(bodies, join), join)

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

    # --- loops --------------------------------------------------------------------------------------------------------

    def _do_For(self, node: ast.For) -> None:
        start, stop, step = self._range(node.iter)
        if not isinstance(node.target, ast.Name) or node.orelse:
            raise self._refuse(node, "a loop counts one name through a range, without else")
        loop = self._begin_loop(node, start, step)
        # What comes round is known only after the body: its phis are written into this place then.
        place = self.text.mark()
        self.path.names |= loop.phis
        low, high = values.union([start, stop])
        counter = Value(loop.counter, min(low, high + step), max(high, low + step))
        more = self._compare_values("lt" if step > 0 else "gt", counter, stop, node)
        self.text.branch(more.ir, loop.body, loop.done)
        loop.exits.append((loop.head, self.path))
        self.text.begin(loop.body)
        self.path = self.path.copy()
        self.path.names[node.target.id] = Value(loop.counter, low, high - 1 if step > 0 else high)
        self.frame.loops.append(loop)
        self._block(node.body)
        if self.text.block is not None:
            loop.rounds.append((self._leave(loop.latch), self.path))
        self.frame.loops.pop()
        self.text.insert(place, self._close_loop(loop))
        self.text.begin(loop.done)
        for _, path in loop.exits:
            path.names.pop(node.target.id, None)
        self._merge(loop.exits)

    def _begin_loop(self, node: ast.For, start: Value, step: int) -> Loop:
        """Enter the loop's head; what its body assigns is carried round."""
        stores = (n for child in node.body for n in ast.walk(child) if isinstance(n, ast.Name))
        assigned = {n.id for n in stores if isinstance(n.ctx, ast.Store)}
        carried = {n: self.number(v) for n, v in self.path.names.items() if n in assigned}
        head, body, latch, done = (self.text.fresh(stem) for stem in ("head", "body", "latch", "done"))
        before = self._leave(head)
        self.text.begin(head)
        counter = "%" + self.text.fresh("i")
        phis = {name: Value("%" + self.text.fresh("p"), -WIDE, WIDE) for name in carried}
        return Loop(head, body, latch, done, before, counter, start, step, carried, phis)

    def _close_loop(self, loop: Loop) -> list[str]:
        """Write the latch; gives the phis that belong at the loop's head."""
        back = dict.fromkeys(loop.carried, "")
        counted = ""
        if loop.rounds:
            self.text.begin(loop.latch)
            self._merge(loop.rounds)
            back = {name: f", [ {self._carried(name)}, %{loop.latch} ]" for name in loop.carried}
            counted = f", [ {self.text.value(f'add i64 {loop.counter}, {loop.step}')}, %{loop.latch} ]"
            loop.exits[0][1].wrote |= self.path.wrote
            self.text.end(f"br label %{loop.head}")
        return [f"{loop.counter} = phi i64 [ {loop.start.ir}, %{loop.before} ]{counted}"] + [
            f"{loop.phis[name].ir} = phi i64 [ {value.ir}, %{loop.before} ]{back[name]}"
            for name, value in loop.carried.items()
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

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _do_Return(self, node: ast.Return) -> None:
        value = None
        if node.value is not None:
            value = self._expression(node.value)
            kind = self.frame.source.annotations.get("return")
            if is_width(kind):
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
