from guesthouse.manager.guest_command import CONTROL, LONGEST_LINE, STDIN, STDOUT, GuestCommand, encode


class Memory:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def session(*words: bytes) -> tuple[GuestCommand, Memory, Memory, list[int]]:
    stdout, control, changes = Memory(), Memory(), []
    command = GuestCommand(words, stdout, Memory(), lambda: changes.append(1))
    command.control = control
    return command, control, stdout, changes


def test_values_are_written_as_printf_reads_them() -> None:
    assert encode(b"-la") == b"\\0055la"
    assert encode(b"") == b""
    assert encode(b"\xff\n") == b"\\0377\\0012"


def test_the_words_follow_the_agents_ready_and_only_once() -> None:
    command, control, _, _ = session(b"ls", b"-l", b"")
    assert control.data == b""
    command.ports[CONTROL].write(b"rea")
    command.ports[CONTROL].write(b"dy\nready\n")
    assert control.data == b"argument ls\nargument \\0055l\nargument \nrun\n"


def test_the_status_comes_with_the_exit_line() -> None:
    command, _, _, _ = session(b"false")
    command.ports[CONTROL].write(b"exit 130\n")
    assert command.status == 130


def test_lines_that_mean_nothing_are_ignored_in_bounded_memory() -> None:
    command, control, _, _ = session(b"x")
    for _ in range(50):
        command.ports[CONTROL].write(b"y" * LONGEST_LINE)
    command.ports[CONTROL].write(b"\nexit\nexit 99999\nexit -1\n")
    assert (command.status, control.data) == (None, b"")


def test_input_is_wanted_from_the_agents_word_until_the_guest_closes_the_port() -> None:
    command, _, _, changes = session(b"cat")
    command.ports[STDIN].opened(True)
    assert not command.takes_input
    command.ports[STDIN].write(b"ready\n")
    assert command.takes_input and changes == [1]
    command.ports[STDIN].opened(False)
    assert not command.takes_input and command.input_closed and changes == [1, 1]


def test_output_is_passed_on_byte_for_byte() -> None:
    command, _, stdout, _ = session(b"cat")
    command.ports[STDOUT].write(bytes(range(256)))
    assert stdout.data == bytes(range(256))


def test_a_signal_before_the_command_runs_is_dropped() -> None:
    command, control, _, _ = session(b"sleep")
    command.signal("INT")
    assert control.data == b""
    command.ports[CONTROL].write(b"ready\n")
    command.signal("INT")
    assert control.data.endswith(b"run\nsignal INT\n")
