"""One debugger's session: packets in, packets out, and what the machine is to do next. No socket, no thread.

Source: "Debugging with GDB", appendix "gdb Remote Serial Protocol"; the commands that begin with `qemu` are those of
QEMU, whose users know them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import ClassVar

import msgspec

from guesthouse.errors import UserError
from guesthouse.virtual.machine.gdb.commands import command
from guesthouse.virtual.machine.gdb.description import PC, target_description
from guesthouse.virtual.machine.gdb.packets import PACKET_SIZE, Event, Garbage, Unpacker, escape, packet, unescape
from guesthouse.virtual.machine.gdb.target import Kind, Point, Target

INTERRUPTED, TRAPPED = 2, 5  # signals: SIGINT, SIGTRAP
OK, BAD, NO_MEMORY = b"OK", b"E16", b"E0e"
WATCH_NAMES = {Kind.WRITE: b"watch", Kind.READ: b"rwatch", Kind.ACCESS: b"awatch"}
KEPT_WHILE_RUNNING = 2 * PACKET_SIZE
"""Bytes that may come while the guest runs, when only an interrupt makes sense."""


class Phase(Enum):
    """Where a session is."""

    HELD = "the machine stands still"
    RUNNING = "it runs until something stops it"
    STEPPING = "it does one instruction"
    DETACHED = "the debugger has left, the guest goes on"
    KILLED = "the debugger has left and ended the run"
    BROKEN = "what came was no remote protocol"


class Stopped(msgspec.Struct, frozen=True):
    """Why the machine stands still: a signal, and the point and address that it came to."""

    signal: int = TRAPPED
    point: Point | None = None
    address: int = 0
    thread: int = 1


class Session:
    """The protocol's state; `feed` takes what the debugger says, `stopped` and `exited` what the machine does."""

    def __init__(self, target: Target) -> None:
        self.phase = Phase.HELD
        self.stepping: frozenset[int] = frozenset()
        """Threads that do one instruction, while STEPPING."""
        self.resting: frozenset[int] = frozenset()
        """Threads that the debugger has not named, which stand still while others run or step."""
        self.range = (0, 0)
        """Steps go on while the pc is in it: first address, the one behind."""
        self._target = target
        self._unpacker = Unpacker()
        self._acknowledges = True
        self._last = b""
        self._out = bytearray()
        self._stopped = Stopped()
        self._features: frozenset[bytes] = frozenset()
        self._document = target_description()

    # --- bytes --------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take what the debugger sent; gives what to send. Look at `phase` afterwards."""
        self._unpacker.give(data)
        self._serve()
        return self._taken()

    def _taken(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def _serve(self) -> None:
        try:
            while self.phase is Phase.HELD and (event := self._unpacker.next()) is not None:
                self._on_event(event)
        except Garbage:
            self.phase = Phase.BROKEN
        if self.phase in (Phase.RUNNING, Phase.STEPPING) and len(self._unpacker) > KEPT_WHILE_RUNNING:
            self.phase = Phase.BROKEN

    def _on_event(self, event: bytes | Event) -> None:
        if event is Event.AGAIN:
            self._out += self._last if self._acknowledges else b""
        elif event is Event.DAMAGED:
            self._out += b"-" if self._acknowledges else b""
        elif isinstance(event, bytes):
            if self._acknowledges:
                self._out += b"+"
            answer = self._answer(event)
            if answer is not None:
                self._reply(answer)

    def _reply(self, payload: bytes) -> None:
        self._last = packet(payload)
        self._out += self._last

    # --- the machine's side -------------------------------------------------------------------------------------------

    @property
    def wants_interrupt(self) -> bool:
        """Whether the debugger asks for a stop of the machine that runs."""
        return self.phase in (Phase.RUNNING, Phase.STEPPING) and self._unpacker.interrupted()

    def stopped(self, stopped: Stopped) -> bytes:
        """The machine stands still; gives what to send, with answers to what came meanwhile."""
        if stopped.signal == INTERRUPTED and self._unpacker.interrupted():
            self._unpacker.next()
        self.phase, self._stopped, self._target.thread = Phase.HELD, stopped, stopped.thread
        self._reply(self._stop_reply())
        self._serve()
        return self._taken()

    def exited(self, status: int) -> bytes:
        """The guest has switched off; gives what to send."""
        self.phase = Phase.DETACHED
        self._reply(b"W%02x" % (status & 0xFF))
        return self._taken()

    def _stop_reply(self) -> bytes:
        stopped = self._stopped
        parts = []
        if stopped.point is not None and stopped.point.kind >= Kind.WRITE:
            parts.append(b"%s:%x" % (WATCH_NAMES[stopped.point.kind], stopped.address))
        elif stopped.point is not None:
            name = b"swbreak" if stopped.point.kind is Kind.SOFTWARE else b"hwbreak"
            parts += [name + b":"] if name in self._features else []
        pc = self._target.read_register(stopped.thread, PC)
        parts += [b"thread:%x" % stopped.thread, b"%x:%s" % (PC, pc.hex().encode())]
        return b"T%02x%s;" % (stopped.signal, b";".join(parts))

    # --- requests -----------------------------------------------------------------------------------------------------

    def _answer(self, request: bytes) -> bytes | None:
        """The answer to a packet, empty for one that is not known, None where none is to be sent (yet)."""
        name = request[:1].decode("latin-1")
        if name in ("v", "q", "Q"):
            for prefix, method in self.NAMED.items():
                if request.startswith(prefix):
                    return self._guarded(method, request[len(prefix) :])
            return b""
        simple = self.SIMPLE.get(name)
        return self._guarded(simple, request[1:]) if simple else b""

    def _guarded(self, method: Callable[[Session, bytes], bytes | None], text: bytes) -> bytes | None:
        try:
            return method(self, text)
        except UserError:
            return NO_MEMORY
        except (ValueError, KeyError, OverflowError):
            return BAD

    def _why(self, text: bytes) -> bytes:
        return self._stop_reply()

    def _read_general(self, text: bytes) -> bytes:
        return self._target.read_general(self._target.thread).hex().encode()

    def _write_general(self, text: bytes) -> bytes:
        self._target.write_general(self._target.thread, bytes.fromhex(text.decode()))
        return OK

    def _read_register(self, text: bytes) -> bytes:
        return self._target.read_register(self._target.thread, _number(text)).hex().encode()

    def _write_register(self, text: bytes) -> bytes:
        number, _, value = text.partition(b"=")
        self._target.write_register(self._target.thread, _number(number), bytes.fromhex(value.decode()))
        return OK

    def _read_memory(self, text: bytes) -> bytes:
        address, length = _numbers(text)
        return self._target.read_memory(self._target.thread, address, min(length, PACKET_SIZE // 2)).hex().encode()

    def _write_memory(self, text: bytes) -> bytes:
        place, _, digits = text.partition(b":")
        return self._write(place, bytes.fromhex(digits.decode()))

    def _write_binary(self, text: bytes) -> bytes:
        place, _, data = text.partition(b":")
        return self._write(place, unescape(data))

    def _write(self, place: bytes, data: bytes) -> bytes:
        address, length = _numbers(place)
        if len(data) != length:
            return BAD
        self._target.write_memory(self._target.thread, address, data)
        return OK

    def _insert(self, text: bytes) -> bytes:
        kind, address, length = _point(text)
        physical = self._target.physical and kind >= Kind.WRITE
        self._target.insert(self._target.thread, Point(kind, address, length, physical))
        return OK

    def _remove(self, text: bytes) -> bytes:
        self._target.remove(*_point(text))
        return OK

    # --- threads ------------------------------------------------------------------------------------------------------

    def _select(self, text: bytes) -> bytes:
        """`Hg` chooses the processor that is looked at; `Hc`, of old, what runs on, which `vCont` says better."""
        threads = self._threads(text[1:])
        if text[:1] == b"g":
            self._target.thread = threads[0]
        return OK

    def _threads(self, text: bytes) -> list[int]:
        """The threads that an identifier means: all for -1, any one for 0; raises KeyError where there is none."""
        number = int(text, 16)
        known = list(self._target.processors)
        if number == 0:
            return [self._target.thread]
        if number != -1 and number not in known:
            raise KeyError(number)
        return known if number == -1 else [number]

    def _alive(self, text: bytes) -> bytes:
        return OK if self._threads(text) else BAD

    def _current(self, text: bytes) -> bytes:
        return b"" if text else b"QC%x" % self._target.thread  # other requests begin so, too

    def _first_threads(self, text: bytes) -> bytes:
        return b"m" + b",".join(b"%x" % thread for thread in self._target.processors)

    def _more_threads(self, text: bytes) -> bytes:
        return b"l"

    def _about_thread(self, text: bytes) -> bytes:
        (thread,) = self._threads(text)
        processor = self._target.processors[thread]
        name = ("user", "supervisor", "", "machine")[processor.registers["mode"]]
        return f"CPU {thread - 1}, {name} mode, {processor.doing}".encode().hex().encode()

    # --- going on -----------------------------------------------------------------------------------------------------

    def _go(self, text: bytes) -> None:
        """`c` and `s` of old: from an address, where one is given."""
        self._start(frozenset(), text)

    def _go_with_signal(self, text: bytes) -> None:
        """There is nobody in the guest to get the signal."""
        self._start(frozenset(), text.partition(b";")[2])

    def _step(self, text: bytes) -> None:
        self._start(frozenset([self._target.thread]), text)

    def _step_with_signal(self, text: bytes) -> None:
        self._start(frozenset([self._target.thread]), text.partition(b";")[2])

    def _start(self, stepping: frozenset[int], place: bytes) -> None:
        if place:
            self._target.write_register(self._target.thread, PC, int(place, 16).to_bytes(8, "little"))
        self.stepping, self.resting, self.range = stepping, frozenset(), (0, 0)
        self.phase = Phase.STEPPING if stepping else Phase.RUNNING

    def _continue(self, text: bytes) -> bytes | None:
        """`vCont`: the first action that names a thread is that thread's."""
        actions: dict[int, bytes] = {}
        for part in text.split(b";")[1:]:
            action, _, thread = part.partition(b":")
            if action[:1] not in (b"c", b"C", b"s", b"S", b"r") or not action:
                return BAD
            for number in self._threads(thread or b"-1"):
                actions.setdefault(number, action)
        if not actions:
            return BAD
        stepping = [number for number, action in actions.items() if action[:1] in b"sSr"]
        ranges = [_numbers(actions[number][1:]) for number in stepping if actions[number][:1] == b"r"]
        self._start(frozenset(stepping), b"")
        self.resting = frozenset(self._target.processors) - frozenset(actions)
        self.range = ranges[0] if ranges else (0, 0)
        return None

    def _can_continue(self, text: bytes) -> bytes:
        return b"vCont;c;C;s;S;r"

    def _detach(self, text: bytes) -> bytes:
        self.phase = Phase.DETACHED
        return OK

    def _kill(self, text: bytes) -> None:
        self.phase = Phase.KILLED

    def _kill_politely(self, text: bytes) -> bytes:
        self.phase = Phase.KILLED
        return OK

    # --- queries ------------------------------------------------------------------------------------------------------

    def _supported(self, text: bytes) -> bytes:
        """No memory map is offered: it would be of guest-virtual addresses, and forbid all that it does not name."""
        offered = text.removeprefix(b":").split(b";")
        self._features = frozenset(name.removesuffix(b"+") for name in offered if name.endswith(b"+"))
        ours = b"PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+"
        return ours % PACKET_SIZE

    def _stop_acknowledging(self, text: bytes) -> bytes:
        self._acknowledges = False
        return OK

    def _read_document(self, text: bytes) -> bytes:
        name, _, part = text.partition(b":")
        if name != b"target.xml":
            return b"E00"
        offset, length = _numbers(part)
        length = min(length, PACKET_SIZE // 2)  # escaped it may be twice as long
        more = b"m" if offset + length < len(self._document) else b"l"
        return more + escape(self._document[offset : offset + length])

    def _run_command(self, text: bytes) -> bytes | None:
        words = bytes.fromhex(text.decode()).decode("utf-8", "replace").split()
        outcome = command(self._target, words)
        if outcome.ends:
            self.phase = Phase.KILLED
        shown = outcome.text.encode()
        step = PACKET_SIZE // 2 - 1
        for at in range(0, len(shown), step):
            self._reply(b"O" + shown[at : at + step].hex().encode())
        return OK

    def _attached(self, text: bytes) -> bytes:
        """To something that was there before: who quits the debugger does not mean to end the guest."""
        return b"1"

    def _ask_physical(self, text: bytes) -> bytes:
        return b"%d" % self._target.physical

    def _set_physical(self, text: bytes) -> bytes:
        self._target.physical = text.removeprefix(b":") != b"0"
        return OK

    def _agree(self, text: bytes) -> bytes:
        return OK

    def _unknown(self, text: bytes) -> bytes:
        return b""

    SIMPLE: ClassVar[dict[str, Callable[[Session, bytes], bytes | None]]] = {
        **{"?": _why, "g": _read_general, "G": _write_general, "p": _read_register, "P": _write_register},
        **{"m": _read_memory, "M": _write_memory, "X": _write_binary, "Z": _insert, "z": _remove},
        **{"H": _select, "T": _alive, "c": _go, "C": _go_with_signal, "s": _step, "S": _step_with_signal},
        **{"D": _detach, "k": _kill},
    }
    NAMED: ClassVar[dict[bytes, Callable[[Session, bytes], bytes | None]]] = {
        **{b"vCont?": _can_continue, b"vCont": _continue, b"vKill": _kill_politely},
        **{b"qSupported": _supported, b"QStartNoAckMode": _stop_acknowledging, b"qAttached": _attached},
        **{b"qXfer:features:read:": _read_document, b"qRcmd,": _run_command, b"qSymbol:": _agree},
        **{b"qfThreadInfo": _first_threads, b"qsThreadInfo": _more_threads, b"qThreadExtraInfo,": _about_thread},
        **{b"qC": _current, b"qqemu.PhyMemMode": _ask_physical, b"Qqemu.PhyMemMode": _set_physical},
    }


def _number(text: bytes) -> int:
    """A number without sign; raises ValueError for anything else, such as what Python's own notation allows beside."""
    if not text or len(text) > 16 or text.strip(b"0123456789abcdefABCDEF"):
        raise ValueError(text)
    return int(text, 16)


def _numbers(text: bytes) -> tuple[int, int]:
    first, second = text.split(b",")
    return _number(first), _number(second)


def _point(text: bytes) -> tuple[Kind, int, int]:
    """Type, address and kind of `Z` and `z`; conditions and commands behind them are never offered, so not sent."""
    kind, address, length = text.split(b";")[0].split(b",")
    return Kind(_number(kind)), _number(address), _number(length)
