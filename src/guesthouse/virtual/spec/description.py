"""An instruction set's description: its state, its instructions and the functions behind them.

Importing a description only records. Every engine and tool is another reader of what is recorded here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from guesthouse.virtual.spec.encoding import Grammar, Pattern
from guesthouse.virtual.spec.layout import StateLayout
from guesthouse.virtual.spec.words import F

Semantics = Callable[..., Any]


class Instruction(msgspec.Struct, frozen=True, eq=False, dict=True):
    """One instruction of a set, as `Isa.instruction` records it.

    - `syntax`: a template of the assembly language: `lw rd, offset(rs1)`.
    - `encoding`: its bits, in the set's grammar; `pattern` is what they say.
    - `semantics`: its meaning, a function of the state and of the operands by name, in the semantics language.
    - `extension`: the part of the manual it belongs to: `Zbb`.
    """

    isa: Isa
    syntax: str
    encoding: str
    semantics: Semantics
    extension: str

    @property
    def mnemonic(self) -> str:
        """The first word of the syntax."""
        return self.syntax.split()[0]

    @property
    def name(self) -> str:
        """The function's name: unique, and a valid symbol."""
        return self.semantics.__name__

    @cached_property
    def pattern(self) -> Pattern:
        """The encoding, read by the set's grammar."""
        try:
            return self.isa.grammar.pattern(self.encoding)
        except ValueError as error:
            code = self.semantics.__code__
            raise ValueError(f"{code.co_filename}:{code.co_firstlineno}: {self.mnemonic}: {error}") from None

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the operands that the function takes, after the state."""
        code = self.semantics.__code__
        return code.co_varnames[1 : code.co_argcount]


class Isa:
    """An instruction set: what a processor of it holds and how it behaves.

    - `name`: what messages call it.
    - `layout`: the state of a processor; engines add private fields behind it.
    - `grammar`: how encodings are written.
    - `unit`, `longest`: instructions begin at multiples of `unit` bytes and have at most `longest` of them.
    - `contexts`: the number of translation contexts; an engine keeps translations apart by them.
    - `instructions`: what has been recorded, in that order.

    `hooks` are the functions an engine calls by role (all in the language of the instructions):

    - `reset(s)`: put the non-zero reset state in place (fields reset themselves first).
    - `take_trap(s, cause, value)`: enter the handler; sets `pc`.
    - `poll(s)`: clear `attention`, raise `Trap` for the interrupt to take, if any.
    - `illegal(s)`: raise the trap of an undefined encoding.
    - `translate(s, address, size, access, context)`: guest-physical page and rights, or a trap; see `spec.hooks`.
    - `fence_range(s, address, pages, space)`: forget translations as another processor asks; see `spec.hooks`.
    - `access_fault(s, address, access)`: raise the trap of an access that nothing answers.
    - `length(first)`: bytes of the instruction whose first unit this is.
    - `data_context(s)`, `fetch_context(s)`: number of the translation context, below `contexts`.
    """

    HOOKS = (
        *("reset", "take_trap", "poll", "illegal", "length"),
        *("translate", "data_context", "fetch_context", "access_fault", "fence_range"),
    )

    def __init__(self, name: str, layout: StateLayout, grammar: Grammar, *, unit: int, longest: int, contexts: int):
        self.name = name
        self.layout = layout
        self.grammar = grammar
        self.unit = unit
        self.longest = longest
        self.contexts = contexts
        self.instructions: list[Instruction] = []
        self.hooks: dict[str, Semantics] = {}

    def instruction(self, syntax: str, encoding: str, extension: str = "") -> Callable[[F], F]:
        """Record a function as the meaning of an instruction."""

        def record(semantics: F) -> F:
            group = extension or semantics.__globals__.get("EXTENSION", "")
            self.instructions.append(Instruction(self, syntax, encoding, semantics, group))
            return semantics

        return record

    def hook(self, semantics: F) -> F:
        """Record a function in the role that its name says; raises ValueError for an unknown role."""
        if semantics.__name__ not in self.HOOKS:
            raise ValueError(f"{semantics.__name__} is not a role of {', '.join(self.HOOKS)}")
        self.hooks[semantics.__name__] = semantics
        return function(semantics)

    @cached_property
    def by_name(self) -> dict[str, Instruction]:
        """Instructions by function name."""
        return {instruction.name: instruction for instruction in self.instructions}

    @cached_property
    def decode_order(self) -> list[Instruction]:
        """Most specific patterns first, so that the first match is the right one."""
        return sorted(self.instructions, key=lambda i: -i.pattern.mask.bit_count())


def function(semantics: F) -> F:
    """Compile a function once and call it; a plain function is inlined where it is called."""
    semantics.shared = True  # type: ignore[attr-defined]
    return semantics
