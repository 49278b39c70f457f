import threading

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.frames import packed
from guesthouse.manager.guest_command import NONCE, PORT, GuestCommand
from tests.manager.agents import frames, ready


class Memory:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


class Conversation:
    """A command, and what it has sent and written."""

    def __init__(self, *words: bytes) -> None:
        self.port, self.stdout, self.stderr, self.changes = Memory(), Memory(), Memory(), list[int]()
        self.command = GuestCommand(words, self.stdout, self.stderr, lambda: self.changes.append(1))
        self.command.attach(self.port)

    def kinds(self) -> list[int]:
        """Of the frames sent since the last look."""
        data, self.port.data = self.port.data, b""
        return [frame.kind for frame in frames(data)]

    def say(self, kind: int, argument: int = 0, payload: bytes = b"") -> None:
        self.command.write(packed(kind, 1, argument, payload))


def begun(*words: bytes) -> Conversation:
    conversation = Conversation(*words)
    conversation.command.write(ready(NONCE))
    return conversation


def test_the_command_starts_when_the_agent_is_ready_and_only_once() -> None:
    conversation = Conversation(b"ls", b"-l", b"")
    assert conversation.kinds()[1:] == [protocol.HELLO]
    answer = ready(NONCE)
    conversation.command.write(answer[:30])
    assert conversation.kinds() == [] and not conversation.command.takes_input
    conversation.command.write(answer[30:] + ready(NONCE, mark=False))
    data = conversation.port.data
    assert conversation.kinds() == [protocol.START, protocol.OUTPUT_CREDIT, protocol.ERRORS_CREDIT]
    assert b"/root\0ls\0-l\0\0" in data
    assert conversation.command.takes_input


def test_it_ends_with_its_status_when_all_output_has_come_and_then_the_guest_is_switched_off() -> None:
    conversation = begun(b"cat")
    conversation.kinds()
    conversation.say(protocol.STARTED, 300)
    conversation.say(protocol.EXITED, 3 << 8)
    for _ in range(3):
        conversation.say(protocol.OUTPUT, 0, bytes(range(256)) * 100)
    assert conversation.stdout.data == bytes(range(256)) * 300
    conversation.say(protocol.ERRORS_END)
    assert conversation.command.status is None
    conversation.say(protocol.OUTPUT_END)
    assert conversation.command.status == 3
    assert conversation.kinds() == [protocol.OUTPUT_CREDIT, protocol.SHUTDOWN]
    assert (PORT, conversation.stderr.data) == ("guesthouse.agent", b"")


def test_a_program_that_is_not_there_is_told() -> None:
    conversation = begun(b"nothing")
    conversation.say(protocol.FAILED, 2)
    assert conversation.command.status == 127
    assert conversation.stderr.data == b"guesthouse: there is no program 'nothing' in the guest.\n"


def test_an_agent_that_starts_again_or_makes_no_sense_ends_the_run() -> None:
    for said in (ready(0), packed(protocol.OUTPUT, 99, 0, b"x")):
        conversation = begun(b"sleep")
        conversation.command.write(said)
        assert conversation.command.status == 255
        assert conversation.stderr.data.startswith(b"guesthouse: the command's end is not known: the guest's agent ")
        conversation.command.write(said)
        assert conversation.stderr.data.count(b"\n") == 1


def test_input_goes_to_the_command_until_it_wants_no_more() -> None:
    conversation = begun(b"cat")
    conversation.kinds()
    conversation.command.send_input(b"a" * 100_000)
    assert conversation.kinds() == [protocol.INPUT, protocol.INPUT]
    assert conversation.command.pending == 100_000 - protocol.WINDOW
    conversation.say(protocol.INPUT_CREDIT, protocol.WINDOW)
    conversation.command.end_input()
    assert conversation.kinds() == [protocol.INPUT, protocol.INPUT, protocol.INPUT_END]
    assert not conversation.command.takes_input
    other = begun(b"true")
    other.say(protocol.INPUT_CLOSED)
    assert not other.command.takes_input


def test_a_signal_before_the_command_runs_is_dropped() -> None:
    conversation = Conversation(b"sleep")
    conversation.kinds()
    conversation.command.signal("INT")
    assert conversation.kinds() == []
    conversation.command.write(ready(NONCE))
    conversation.kinds()
    conversation.command.signal("INT")
    assert conversation.kinds() == [protocol.SIGNAL]


def test_a_sink_that_waits_for_the_other_thread_holds_nobody_up() -> None:
    conversation = begun(b"cat")
    entered, leave = threading.Event(), threading.Event()

    def slow(data: bytes) -> None:
        entered.set()
        assert leave.wait(10)

    conversation.stdout.write = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: conversation.say(protocol.OUTPUT, 0, b"x"))
    thread.start()
    assert entered.wait(10)
    conversation.command.send_input(b"y")  # would wait for ever if the lock were held
    leave.set()
    thread.join(10)
    assert not thread.is_alive()
