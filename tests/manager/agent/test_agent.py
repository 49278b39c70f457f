"""The agent itself, as Python and as the compiled program, with this host's kernel and programs as its guest."""

import hashlib
import os
import re
import signal
import struct
import time

import pytest

from guesthouse.guest.agent import protocol
from guesthouse.manager.agent.agent import Agent, AgentError, AgentTimeout, Process
from guesthouse.manager.agent.command import LEAST_GRANT, Size, Start, StreamName, User
from guesthouse.manager.agent.frames import packed
from guesthouse.manager.agent.session import CLOSED, RESTARTED
from tests.manager.agent.conftest import Running

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def test_it_says_who_it_is_and_answers_pings(agent: Agent) -> None:
    ready = agent.wait_ready()
    assert ready.version == protocol.VERSION
    with open("/proc/sys/kernel/random/boot_id") as file:
        assert ready.boot_id == file.read().strip()
    assert agent.ping() < 5


def test_streams_stay_apart_and_status_comes_back(agent: Agent) -> None:
    result = agent.run(["sh", "-c", "cat; echo of errors >&2; exit 3"], input=b"\0\xffabc")
    assert (result.status, result.signal, result.stdout, result.stderr) == (3, 0, b"\0\xffabc", b"of errors\n")
    assert agent.run(["sh", "-c", "kill -9 $$"]).status == 128 + 9
    assert agent.run(["no-such-program"]).status == 127
    assert agent.run(["/"]).status == 126
    assert agent.run(["/etc/passwd/x"]).status == 127


def test_words_environment_and_folder_are_as_given(agent: Agent) -> None:
    words = ["a b", "", "-n", "'\"$HOME\\", "ü\n"]
    script = 'for word; do printf "%s|" "$word"; done; pwd; echo $VALUE; echo $FROM_AGENT'
    result = agent.run(["sh", "-c", script, "sh", *words], cwd="/usr", env={"VALUE": "ä=b"})
    assert result.stdout == ("".join(f"{word}|" for word in words) + "/usr\nä=b\nyes\n").encode()
    assert agent.run(["env"], env={"FROM_AGENT": "no"}).stdout.count(b"FROM_AGENT") == 1
    process = Process(agent, Start(words=[b"env"], environment=[b"ONLY=1"], inherit=False))
    assert process.wait(10).stdout == b"ONLY=1\n"
    assert agent.run(["pwd"], cwd="/no/such/folder").status == 127


def test_a_script_without_its_shell_is_run_by_the_usual_one(agent: Agent, tmp_path: os.PathLike[str]) -> None:
    script = os.path.join(tmp_path, "script")
    with open(script, "w") as file:
        file.write('echo "$1 from $0"\n')
    os.chmod(script, 0o755)
    assert agent.run([script, "word"]).stdout == f"word from {script}\n".encode()
    assert agent.run(["script", "word"], env={"PATH": f"/nowhere:{tmp_path}"}).stdout.startswith(b"word from ")


def test_a_command_has_nothing_of_the_agents(agent: Agent) -> None:
    fields = dict(line.split(":\t") for line in agent.run(["cat", "/proc/self/status"]).stdout.decode().splitlines())
    own = 0b11 << 31  # signals 32 and 33 are of the C library under the emulator that runs the agent here
    assert all(not int(fields[name], 16) & ~own for name in ("SigBlk", "SigIgn")) and fields["Umask"] == "0022"
    listing = agent.run(["sh", "-c", "ls /proc/$$/fd; ps -o sid= -p $$; echo $$"]).stdout.split()
    assert listing[:3] == [b"0", b"1", b"2"] and listing[-1] == listing[-2]
    assert len(listing) in (5, 6)  # some shells keep one of their own open


def test_large_input_and_output(agent: Agent, request: pytest.FixtureRequest) -> None:
    data = os.urandom((100 << 20) if "compiled" in request.node.name else 4 << 20)
    result = agent.run(["sh", "-c", "tee /dev/stderr"], input=data, timeout=200)
    wanted = hashlib.sha256(data).digest()
    assert hashlib.sha256(result.stdout).digest() == wanted == hashlib.sha256(result.stderr).digest()


def test_fifty_commands_at_once(agent: Agent) -> None:
    processes = [agent.start(["sh", "-c", f"cat; echo of {i}; exit {i}"]) for i in range(50)]
    for i, process in enumerate(processes):
        process.write(b"%d\n" % i * 500)
    for process in processes:
        process.command.end_input()
    for i, process in enumerate(processes):
        result = process.wait(60)
        assert (result.status, result.stdout) == (i, b"%d\n" % i * 500 + b"of %d\n" % i)


def test_more_commands_than_it_has_room_for_are_refused(agent: Agent) -> None:
    processes = [agent.start(["cat"]) for _ in range(protocol.MOST_CHANNELS + 3)]
    refused = [process for process in processes if agent.wait_for(lambda p=process: p.command.pid or p.command.error)]
    assert [process.command.error for process in refused[protocol.MOST_CHANNELS :]] == [11] * 3
    for process in processes:
        process.command.end_input()
    assert {process.wait(60).status for process in processes[: protocol.MOST_CHANNELS]} == {0}
    assert agent.run(["true"]).status == 0


def test_output_is_held_up_while_nobody_takes_it(agent: Agent) -> None:
    class Slow:
        taken = 0

        def output(self, stream: StreamName, data: bytes) -> None:
            self.taken += len(data)

        def changed(self) -> None:
            pass

    slow = Slow()
    command = agent.session.start(Start(words=[b"yes"]), slow)
    agent.wait_for(lambda: False, 0.5)
    assert slow.taken == 256 << 10 and not command.finished
    assert agent.run(["echo", "other"]).stdout == b"other\n"
    command.grant(StreamName.OUTPUT, LEAST_GRANT + 1000)
    agent.wait_for(lambda: False, 0.2)
    assert slow.taken == (256 << 10) + LEAST_GRANT + 1000
    agent.session.drop(command)
    agent.ping()


def test_signals_reach_the_whole_group(agent: Agent) -> None:
    process = agent.start(["sh", "-c", "trap 'echo caught; exit 9' TERM; echo up; sleep 60 & wait"])
    assert agent.wait_for(lambda: process.collected >= 3, 20)
    process.command.signal(signal.SIGTERM)
    assert process.wait(20).status == 9
    process = agent.start(["sleep", "60"])
    agent.wait_for(lambda: process.command.pid is not None, 20)
    process.command.signal(signal.SIGINT)
    result = process.wait(20)
    assert (result.status, result.signal) == (128 + 2, 2)


def test_a_command_that_takes_too_long_is_killed_with_its_children(agent: Agent) -> None:
    with pytest.raises(AgentTimeout, match=r"longer than 1 s"):
        agent.run(["sh", "-c", "sleep 987654 & sleep 987655"], timeout=1)
    agent.ping()
    deadline = time.monotonic() + 10
    while re.search(rb"98765[45]", agent.run(["ps", "-eo", "args"]).stdout):
        assert time.monotonic() < deadline


def test_a_command_that_takes_no_input_is_not_waited_for_either(agent: Agent) -> None:
    with pytest.raises(AgentTimeout, match=r"longer than 0.5 s"):
        agent.run(["sleep", "60"], input=b"x" * 1_000_000, timeout=0.5)
    assert agent.run(["echo", "next"]).stdout == b"next\n"


def test_a_system_call_that_does_not_come_back_is_given_up(agent: Agent, tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "pipe")
    os.mkfifo(path)
    began = time.monotonic()
    with pytest.raises(AgentTimeout, match=r"longer than 0.5 s"), agent.calls(patience=0.5) as calls:
        calls.write_file(os.fsencode(path), [b"x"])
    assert time.monotonic() - began < 3
    assert agent.run(["echo", "next"]).stdout == b"next\n"


def test_what_a_command_leaves_running_is_not_waited_for_unless_asked(agent: Agent) -> None:
    began = time.monotonic()
    assert agent.run(["sh", "-c", "echo before; sleep 3 &"]).stdout == b"before\n"
    assert time.monotonic() - began < 2.5
    process = agent.start(["sh", "-c", "(sleep 0.5; echo late) & echo before"], linger=True)
    assert process.wait(20).stdout == b"before\nlate\n"


def test_a_command_that_closes_its_input_gets_no_more(agent: Agent) -> None:
    process = agent.start(["sh", "-c", "exec <&-; sleep 0.3; echo end"])
    assert agent.wait_for(lambda: not process.command.input_open, 20)
    process.write(b"x" * 1_000_000)  # comes back at once
    assert process.wait(20).stdout == b"end\n"
    assert agent.run(["head", "-c", "3"], input=b"abcdef" * 200_000).stdout == b"abc"


def test_a_terminal_has_its_size_and_ends(agent: Agent) -> None:
    process = agent.start(["sh", "-c", "stty size; read x; stty size; tty; cat"], terminal=Size(100, 30))
    assert agent.wait_for(lambda: process.collected >= 8, 20)
    process.command.resize(Size(81, 25))
    process.write(b"go\n")
    process.command.end_input()
    lines = process.wait(20).stdout.decode().split("\r\n")
    assert lines[0] == "30 100" and "25 81" in lines and any(line.startswith("/dev/pts/") for line in lines)
    if os.geteuid() == 0:
        process = agent.start(["sh", "-c", "echo opened >$(tty)"], terminal=Size(), user="nobody")
        assert process.wait(20).stdout == b"opened\r\n"
    process = agent.start(["cat"], terminal=Size())
    agent.wait_for(lambda: process.command.pid is not None, 20)
    process.write(b"\x03")  # Ctrl-C
    assert process.wait(20).signal == signal.SIGINT


@ROOT_ONLY
def test_a_command_runs_as_somebody_else(agent: Agent) -> None:
    assert agent.user("nobody").uid == 65534 == agent.user("65534").uid
    result = agent.run(["sh", "-c", "id -u; id -g; id -G; echo again >/dev/stdout"], user="nobody")
    assert result.stdout == b"65534\n65534\n65534\nagain\n"
    assert agent.run(["id", "-G"], user=User(1, 2, (2, 3, 4))).stdout == b"2 3 4\n"
    with pytest.raises(AgentError, match="no user 'somebody'"):
        agent.run(["true"], user="somebody")


def test_nothing_is_left_behind(running: Running, agent: Agent) -> None:
    before = running.descriptors()
    for _ in range(20):
        agent.run(["true"])
        agent.run(["no-such-program"])
    process = agent.start(["cat"])
    process.kill()
    agent.ping()
    assert running.descriptors() == before
    assert not agent.session.commands
    children = agent.run(["ps", "-o", "stat=", "--ppid", str(running.process.pid)]).stdout.split()
    assert not [state for state in children if state.startswith(b"Z")]


def test_a_host_that_comes_anew_finds_it_amid_anything(running: Running) -> None:
    old = running.agent()
    old.start(["sleep", "876543"])
    old.pump(0.2)
    running.end.setblocking(True)
    running.end.sendall(packed(protocol.INPUT, 1, 0, bytes(3000))[:1234])  # a host that was stopped amid a frame
    new = Agent(running.stream)
    new.wait_ready(20)
    assert new.run(["echo", "new"]).stdout == b"new\n"
    deadline = time.monotonic() + 10
    while b"876543" in new.run(["ps", "-eo", "args"]).stdout:
        assert time.monotonic() < deadline
    old.session.receive(protocol.MARK)
    assert old.session.problem == RESTARTED


def test_it_ends_with_its_stream_and_kills_what_ran(running: Running) -> None:
    agent = running.agent()
    process = agent.start(["sleep", "765432"])
    agent.wait_for(lambda: process.command.pid is not None, 20)
    pid = process.command.pid
    running.process.kill()
    running.process.wait()
    with pytest.raises(AgentError, match=CLOSED):
        process.wait(10)
    running.process.returncode = 0  # killed by us
    os.kill(pid or 0, signal.SIGKILL)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        bytes(23),
        struct.pack("<6I", 0, 0, 1000, 1, 0, 0) + b"\0x\0",
        struct.pack("<6I", 0, 0, 0, 2**32 - 1, 0, 0) + b"\0x\0",
        struct.pack("<6I", 0, 0, 0, 3, 1, 0) + b"\0x\0y\0",
    ],
    ids=["empty", "short", "groups", "words", "missing"],
)
def test_a_record_that_is_wrong_is_refused(agent: Agent, record: bytes) -> None:
    process = agent.start(["true"])
    process.wait(20)
    other = agent.session.start(Start(words=[b"x"]), process)
    agent.session.take_output()
    agent.session._send(packed(protocol.START, other.channel, 0, record))
    assert agent.wait_for(lambda: other.finished, 20)
    assert other.error == 22
    assert agent.run(["echo", "well"]).stdout == b"well\n"


def test_frames_that_are_not_known_are_ignored(agent: Agent) -> None:
    agent.session._send(packed(60, 9, 9, b"x" * 100) + packed(protocol.SIGNAL, 5, 9) + packed(protocol.CLOSE, 9))
    assert agent.ping() < 10
