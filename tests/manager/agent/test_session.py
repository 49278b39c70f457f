import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.command import OUTPUT_WINDOW, Size, Start, StreamName, User
from guesthouse.manager.agent.frames import HEAD, packed
from guesthouse.manager.agent.session import CONFUSED, RESTARTED, AgentSession
from tests.manager.agents import Heard, frames, ready, session

KINDS = [getattr(protocol, name) for name in ("STARTED", "FAILED", "OUTPUT", "ERRORS", "OUTPUT_END", "ERRORS_END")] + [
    *(protocol.EXITED, protocol.INPUT_CREDIT, protocol.INPUT_CLOSED, protocol.PONG, protocol.READY, 0, 99)
]


def test_the_agents_answer_is_known_by_its_nonce() -> None:
    one = AgentSession(5)
    assert one.take_output().startswith(protocol.PADDING + protocol.MARK)
    one.receive(b"rest of something" + ready(4))
    assert one.ready is None
    one.receive(ready(5))
    assert one.ready and one.ready.version == protocol.VERSION and one.ready.boot_id.startswith("0123")


def test_an_agent_that_has_just_started_is_greeted_again() -> None:
    one = AgentSession(5, fresh=True)
    one.take_output()
    one.receive(ready(0))
    assert [frame.kind for frame in frames(one.take_output())] == [protocol.HELLO]
    one.receive(ready(5) + ready(5, mark=False))
    assert one.ready and not one.problem


def test_a_mark_amid_the_conversation_is_an_agent_that_started_again() -> None:
    one, heard = session(), Heard()
    command = one.start(Start(words=[b"x"]), heard)
    one.receive(ready(0))
    assert one.problem == RESTARTED == command.lost and heard.changes == 1
    assert command.finished and command.status == 255


def test_a_start_says_everything() -> None:
    one = session()
    start = Start(
        words=[b"a", b"b\0c"],
        environment=[b"X=1"],
        directory=b"/tmp",
        user=User(1, 2, (3, 4)),
        terminal=Size(80, 25),
        inherit=False,
    )
    one.start(start, Heard())
    first, *rest = frames(one.take_output())
    assert (first.kind, first.argument) == (protocol.START, protocol.TERMINAL)
    words = [1, 2, 2, 2, 1, 80 << 16 | 25, 3, 4]
    assert first.payload == b"".join(n.to_bytes(4, "little") for n in words) + b"/tmp\0a\0b\0X=1\0"
    assert [frame.kind for frame in rest] == [protocol.OUTPUT_CREDIT]


def test_a_long_start_comes_in_pieces() -> None:
    one = session()
    one.start(Start(words=[b"x" * 100_000]), Heard())
    sent = frames(one.take_output())
    assert [frame.kind for frame in sent[:4]] == [protocol.ARGUMENTS] * 3 + [protocol.START]


def test_output_beyond_what_was_granted_ends_the_conversation() -> None:
    one, heard = session(), Heard()
    command = one.start(Start(words=[b"x"]), heard)
    piece = packed(protocol.OUTPUT, command.channel, 0, bytes(protocol.MOST_PAYLOAD))
    for _ in range(OUTPUT_WINDOW // protocol.MOST_PAYLOAD):
        one.receive(piece)
    assert len(heard.written[StreamName.OUTPUT]) == OUTPUT_WINDOW and not one.problem
    command.grant(StreamName.OUTPUT, protocol.MOST_PAYLOAD)
    command.grant(StreamName.OUTPUT, protocol.MOST_PAYLOAD)
    one.receive(piece)
    one.receive(piece)
    assert not one.problem
    one.receive(packed(protocol.OUTPUT, command.channel, 0, b"x"))
    assert one.problem == CONFUSED


@pytest.mark.parametrize(
    "said",
    [
        packed(protocol.INPUT_CREDIT, 1, 1),
        packed(protocol.OUTPUT, 7, 0, b"x"),
        packed(protocol.PONG, 1),
        packed(77, 1),
        packed(protocol.READY, 0, 1, b"short"),
        HEAD.pack(protocol.MOST_PAYLOAD + 1, protocol.OUTPUT, 1, 0),
    ],
    ids=["credit", "channel", "pong", "kind", "ready", "length"],
)
def test_what_no_agent_would_say_ends_the_conversation(said: bytes) -> None:
    one, heard = session(), Heard()
    command = one.start(Start(words=[b"x"]), heard)
    one.receive(said)
    assert one.problem == CONFUSED and command.lost == CONFUSED
    one.take_output()
    command.write(b"x")
    assert one.take_output() == b""


def test_what_comes_of_a_dropped_command_is_ignored() -> None:
    one, heard = session(), Heard()
    command = one.start(Start(words=[b"x"]), heard)
    one.drop(command)
    assert frames(one.take_output())[-1].kind == protocol.CLOSE
    one.receive(packed(protocol.OUTPUT, command.channel, 0, b"x") + packed(protocol.EXITED, command.channel))
    assert not one.problem and heard.written[StreamName.OUTPUT] == b""


def test_status_is_as_a_shell_tells_it() -> None:
    def status(kind: int, argument: int) -> int:
        one = session()
        command = one.start(Start(words=[b"x"]), Heard())
        one.receive(packed(kind, command.channel, argument))
        return command.status

    assert status(protocol.EXITED, 7 << 8) == 7
    assert status(protocol.EXITED, 9) == 128 + 9
    assert status(protocol.EXITED, 0x80 | 11) == 128 + 11  # with a core dump
    assert status(protocol.FAILED, 2) == 127
    assert status(protocol.FAILED, 13) == 126


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 2**32 - 1), st.binary(max_size=64)))
)
def test_a_hostile_agent_does_no_harm(said: list[tuple[int, int, int, bytes]]) -> None:
    one, heard = session(), Heard()
    commands = [one.start(Start(words=[b"x"]), heard) for _ in range(5)]
    commands[1].write(bytes(200_000))
    for kind, channel, argument, payload in said:
        one.receive(packed(kind, channel, argument, payload))
    one.close()
    assert all(command.finished for command in commands)
    assert sum(map(len, heard.written.values())) <= 64 * len(said)


def test_little_is_said_to_an_agent_that_says_little_at_a_time() -> None:
    one = session()
    command = one.start(Start(words=[b"x"]), Heard())
    one.take_output()
    for _ in range(100_000):
        one.receive(packed(protocol.OUTPUT, command.channel, 0, b"x"))
        command.grant(StreamName.OUTPUT, 1)
    assert len(one.take_output()) == 16
    other = AgentSession(5)
    other.take_output()
    other.receive(ready(0) * 1000)
    assert len(other.take_output()) < 1000 and not other.problem


def test_random_bytes_do_no_harm() -> None:
    chance = random.Random(4)
    for _ in range(200):
        one = session()
        one.start(Start(words=[b"x"]), Heard())
        for _ in range(20):
            one.receive(chance.randbytes(chance.randrange(100)))
        assert one.problem in ("", CONFUSED) and len(one._reader._buffer) <= protocol.FRAME
