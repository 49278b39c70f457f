"""CPU time of a process and all its children, between the marks that a guest prints."""

import ctypes
import os
import re
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
START = re.compile(rb"@start (\w+)")
END = re.compile(rb"@end (\w+) (0x[0-9a-f]+) (ok|wrong)\r?\n")


class MeasureError(Exception):
    """A run gave no measurement: one sentence that says what happened instead."""


@dataclass(frozen=True)
class Measurement:
    """What one program cost between its marks.

    cpu: seconds of CPU time, user and system, of the process and all its children (resolution: a clock tick).
    wall: seconds that passed. checksum: what the guest printed.
    """

    cpu: float
    wall: float
    checksum: str = ""


def adopt_orphans() -> None:
    """Let this process inherit the children of its children when these end, so that none escapes the account."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this host can't make a process adopt orphans (prctl)")


def cpu_of_descendants() -> float:
    """Seconds of CPU time used so far by all descendants of this process, living, ended and already waited for.

    /proc/PID/stat counts a process, all its threads, and the children it has waited for; the living ones are found
    by walking the tree. Source: proc(5).
    """
    stats = _read_stats()
    me = os.getpid()
    living = sum(own + waited for _, own, waited in (stats[pid] for pid in _below(me, stats)))
    return (stats[me][2] + living) / TICKS_PER_SECOND


def processes_of(pid: int) -> list[int]:
    """The process and its living descendants."""
    return [pid, *_below(pid, _read_stats())]


def _below(root: int, stats: Mapping[int, tuple[int, int, int]]) -> list[int]:
    """The descendants of `root`."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in stats.items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], list(children.get(root, ()))
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, ()))
    return found


def _read_stats() -> dict[int, tuple[int, int, int]]:
    """Of each process: parent, own ticks, ticks of the children it has waited for."""
    stats = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path("/proc", entry, "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            fields = text.rpartition(")")[2].split()
            own, waited = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
            stats[int(entry)] = (int(fields[1]), own, waited)
    return stats


class Run:
    """A monitor that runs a guest, with its console as pipes.

    Use it as a context manager: leaving ends the process if it hasn't ended.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = 300):
        self.output = bytearray()
        self._seen = 0
        self.began = time.monotonic()
        self.cpu_at_begin = cpu_of_descendants()
        self._deadline = self.began + timeout
        self._command = command
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            bufsize=0,
        )
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        reap_adopted()

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    def renew(self, seconds: float) -> None:
        """Give what comes next `seconds` from now on."""
        self._deadline = time.monotonic() + seconds

    def send(self, data: bytes) -> None:
        """Type `data` on the guest's console."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def expect(self, pattern: re.Pattern[bytes]) -> tuple[re.Match[bytes], float, float]:
        """Wait until `pattern` is in the output after the last match; return the match, CPU and wall time then.

        Times are seconds since the start of this run. Raises MeasureError when the run ends or its time is up.
        """
        while True:
            found = pattern.search(self.output, self._seen)
            if found:
                cpu, wall = cpu_of_descendants() - self.cpu_at_begin, time.monotonic() - self.began
                self._seen = found.end()
                return found, cpu, wall
            self._read_more(pattern)

    def finish(self) -> int:
        """Wait for the process to end by itself and return its status."""
        try:
            while self._read():
                pass
            return self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise MeasureError(f"{self._command[0]} didn't end in time") from None

    def _read_more(self, pattern: re.Pattern[bytes]) -> None:
        wanted = pattern.pattern.decode(errors="replace")
        try:
            if self._read():
                return
        except TimeoutError:
            raise MeasureError(f"no {wanted!r} in time; the last output was {self._tail()!r}") from None
        status = self._process.wait()
        raise MeasureError(f"ended with status {status} before {wanted!r}; the last output was {self._tail()!r}")

    def _read(self) -> bool:
        """Read what there is; False at the end of the output. Raises TimeoutError."""
        assert self._process.stdout is not None
        if not self._selector.select(max(0.0, self._deadline - time.monotonic())):
            raise TimeoutError
        data = os.read(self._process.stdout.fileno(), 65536)
        self.output += data
        return bool(data)

    def _tail(self) -> str:
        return bytes(self.output[-100:]).decode(errors="replace")


def between_marks(run: Run, name: str) -> Measurement:
    """Wait for the marks of program `name` in `run`; return what it cost between them."""
    _, cpu_before, wall_before = run.expect(re.compile(rb"@start " + name.encode() + rb"\r?\n"))
    ended, cpu, wall = run.expect(END)
    checksum = ended[2].decode()
    if ended[1].decode() != name or ended[3] != b"ok":
        raise MeasureError(f"{name} computed {checksum}, which is wrong")
    return Measurement(cpu - cpu_before, wall - wall_before, checksum)


def wait_for_orphans(seconds: float) -> bool:
    """Wait until no descendant is left of earlier runs, at most so long; False where one lives on.

    The compile service stays between runs; it is waited for until it has nothing more to do.
    """
    deadline, before = time.monotonic() + seconds, -1.0
    while True:
        reap_adopted()
        now = cpu_of_descendants()
        if now == before and all(is_service(pid) for pid in processes_of(os.getpid()) if pid != os.getpid()):
            return True
        before = now
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def settle(longest: float) -> None:
    """Wait until what was begun before is done, as far as CPU time shows it; `longest` seconds at most."""
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        before = cpu_of_descendants()
        time.sleep(0.5)
        if cpu_of_descendants() - before < 0.05:
            return


def is_service(pid: int) -> bool:
    """Whether a process is our compile service, or one of its workers."""
    try:
        return b"compile_service" in Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:  # it has ended
        return True


def reap_adopted() -> None:
    """Wait for adopted children that have ended, so that their time is counted and no zombie stays."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
