"""The lines of IR written by hand: how native code is entered and left, and how handlers meet the runtime's functions.

They are those where tail calls and calling conventions matter; everything else is lowered from the language. Names in
capitals are filled in: the places of state fields, the runtime's functions.
"""

from __future__ import annotations

from guesthouse.virtual.engine import host_float
from guesthouse.virtual.engine.convention import CONVENTION, PARAMETERS, TAIL
from guesthouse.virtual.engine.runtime import Runtime
from guesthouse.virtual.spec.description import Isa
from guesthouse.virtual.spec.host_words import Handler
from guesthouse.virtual.spec.layout import StateLayout

GLUE_SYMBOLS = (
    *host_float.SYMBOLS,
    "enter",
    "resume",
    "abort",
    "hot",
    *(f"handler.{int(handler)}" for handler in Handler),
)


def _finding(handler: Handler, finds: str) -> str:
    """A handler that has a function find the slot to run instead."""
    return f"""define dso_local {CONVENTION} void @"handler.{int(handler)}"({PARAMETERS}) nounwind {{
  %at = ptrtoint ptr %page to i64
  %found = call {{ i64, i1 }} @"{finds}"(ptr %s, i64 %pc, i64 %at)
  %failed = extractvalue {{ i64, i1 }} %found, 1
  br i1 %failed, label %trap, label %run
trap:
  {TAIL} @"abort"({PARAMETERS})
  ret void
run:
  %next = extractvalue {{ i64, i1 }} %found, 0
  %next_slot = inttoptr i64 %next to ptr
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %page, ptr %next_slot, i64 %pc, i64 %remaining, ptr %s)
  ret void
}}
"""


CONTROL = f"""
define dso_local void @"enter"(ptr %s) nounwind {{
  %remaining = load i64, ptr REMAINING
  %pc = load i64, ptr PC
  call void @"float.begin"(ptr %s)
  call {CONVENTION} void @"resume"(ptr null, ptr null, i64 %pc, i64 %remaining, ptr %s)
  call void @"float.end"(ptr %s)
  ret void
}}

define dso_local {CONVENTION} void @"resume"({PARAMETERS}) nounwind {{
entry:
  store i64 %pc, ptr PC
  store i64 %remaining, ptr REMAINING
  br label %look
look:
  %found = call {{ i64, i1 }} @"FIND_NEXT"(ptr %s)
  %failed = extractvalue {{ i64, i1 }} %found, 1
  br i1 %failed, label %trap, label %going
trap:
  %suspended = call i64 @"TRAPPED"(ptr %s)
  %leave = icmp ne i64 %suspended, 0
  br i1 %leave, label %out, label %look
going:
  %next = extractvalue {{ i64, i1 }} %found, 0
  %none = icmp eq i64 %next, 0
  br i1 %none, label %out, label %run
out:
  ret void
run:
  %next_slot = inttoptr i64 %next to ptr
  %next_pc = load i64, ptr PC
  %next_remaining = load i64, ptr REMAINING
  %next_page = load ptr, ptr CODE_PAGE
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %next_page, ptr %next_slot, i64 %next_pc, i64 %next_remaining, ptr %s)
  ret void
}}

define dso_local {CONVENTION} void @"abort"({PARAMETERS}) nounwind {{
  store i64 %pc, ptr PC
  store i64 %remaining, ptr REMAINING
  %suspended = call i64 @"TRAPPED"(ptr %s)
  %leave = icmp ne i64 %suspended, 0
  br i1 %leave, label %out, label %run
out:
  ret void
run:
  %next_pc = load i64, ptr PC
  %next_remaining = load i64, ptr REMAINING
  {TAIL} @"resume"(ptr %page, ptr %slot, i64 %next_pc, i64 %next_remaining, ptr %s)
  ret void
}}

define dso_local {CONVENTION} void @"hot"({PARAMETERS}) nounwind {{
  %at = ptrtoint ptr %page to i64
  %next = call i64 @"HEATED"(ptr %s, i64 %pc, i64 %at)
  %none = icmp eq i64 %next, 0
  %spent = icmp sle i64 %remaining, 0
  %stop = or i1 %none, %spent
  br i1 %stop, label %leave, label %run
leave:
  {TAIL} @"resume"({PARAMETERS})
  ret void
run:
  %next_slot = inttoptr i64 %next to ptr
  %handler = load ptr, ptr %next_slot
  {TAIL} %handler(ptr %page, ptr %next_slot, i64 %pc, i64 %remaining, ptr %s)
  ret void
}}

{_finding(Handler.DECODE, "DECODE_AT")}
{_finding(Handler.BREAK, "BREAK_AT")}
define dso_local {CONVENTION} void @"handler.{int(Handler.LOOKUP)}"({PARAMETERS}) nounwind {{
  {TAIL} @"resume"({PARAMETERS})
  ret void
}}

define dso_local {CONVENTION} void @"handler.{int(Handler.ILLEGAL)}"({PARAMETERS}) nounwind {{
  store i64 %pc, ptr PC
  %failed = call i1 @"ILLEGAL"(ptr %s)
  {TAIL} @"abort"({PARAMETERS})
  ret void
}}
"""


def glue_text(isa: Isa, runtime: Runtime, layout: StateLayout) -> str:
    """The glue between handlers and the runtime's functions, with its places filled in."""
    text = CONTROL
    text += host_float.control_text(layout.offset("host_float"), layout.offset("float_flags"))
    for name in ("FIND_NEXT", "TRAPPED", "DECODE_AT", "BREAK_AT", "HEATED"):
        text = text.replace(f'@"{name}"', f'@"{runtime.functions[name.lower()][0].symbol}"')
    text = text.replace('@"ILLEGAL"', f'@"{runtime.sources.of(isa.hooks["illegal"]).symbol}"')
    for name in ("PC", "REMAINING", "CODE_PAGE"):
        text = _with_place(text, name, layout.offset(name.lower()))
    return text


def _with_place(text: str, name: str, offset: int) -> str:
    """Replace the state's field `name` by its address, computed just before each use."""
    wanted, lines = f"ptr {name}", []
    for number, line in enumerate(text.splitlines()):
        if line.endswith(wanted):
            lines.append(f"  %p{name}.{number} = getelementptr inbounds i8, ptr %s, i64 {offset}")
            line = line.removesuffix(wanted) + f"ptr %p{name}.{number}"
        lines.append(line)
    return "\n".join(lines)
