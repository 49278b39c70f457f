"""What a confined process still can and can't do, each tried in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from guesthouse.host.confinement import offered, try_confinement
from guesthouse.host.seccomp import ALWAYS, INSTRUCTION, program, rules

HEAD = """
import sys, os, ctypes, mmap, threading, socket
from pathlib import Path
from guesthouse.host.confinement import confine
file = open(sys.argv[1], "r+b")
measures = confine([Path(sys.argv[2])])
if measures["seccomp"]:
    print("no seccomp"); sys.exit()
def denied(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno in (1, 13)
    return False
"""


def confined(tmp_path: Path, code: str) -> str:
    (tmp_path / "file").write_bytes(b"before")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "entry").write_bytes(b"cached")
    command = [sys.executable, "-c", HEAD + code, str(tmp_path / "file"), str(cache)]
    result = subprocess.run(command, capture_output=True, timeout=20, text=True)
    assert not result.stderr
    if result.stdout == "no seccomp\n":
        pytest.skip("this host has no seccomp filters")
    return result.stdout.strip()


TAKE_IN = """
listener = socket.create_server(("127.0.0.1", 0))
caller = socket.create_connection(listener.getsockname())
confine([], accepting=ACCEPTING)
try:
    taken, _ = listener.accept()
    os.write(taken.fileno(), b"taken in")
except PermissionError:
    print("turned away")
else:
    print(os.read(caller.fileno(), 100).decode())
"""


@pytest.mark.parametrize(("accepting", "result"), ((True, "taken in"), (False, "turned away")))
def test_who_may_take_in_clients(accepting: bool, result: str) -> None:
    head = HEAD.replace(
        "measures = confine([Path(sys.argv[2])])", "from guesthouse.host.seccomp import seccomp_missing"
    )
    head = head.replace('measures["seccomp"]', "seccomp_missing(ctypes.CDLL(None))")
    code = head.replace('file = open(sys.argv[1], "r+b")', "") + TAKE_IN.replace("ACCEPTING", str(accepting))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, text=True)
    if found.stdout == "no seccomp\n":
        pytest.skip("this host has no seccomp filters")
    assert (found.stdout.strip(), found.stderr) == (result, "")


@pytest.mark.parametrize(
    "attempt",
    [
        "open, '/etc/passwd'",
        "open, sys.argv[2] + '/new', 'w'",
        "open, sys.argv[2] + '/entry', 'r+b'",
        "os.unlink, sys.argv[1]",
        "os.fork",
        "os.execv, '/bin/true', ['true']",
        "socket.socket",
        "os.kill, os.getppid(), 0",
        "lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "os.setuid, 0",
    ],
)
def test_what_reaches_out_is_denied(tmp_path: Path, attempt: str) -> None:
    assert confined(tmp_path, f"print(denied({attempt}))") == "True"


def test_open_files_threads_memory_and_time_still_work(tmp_path: Path) -> None:
    code = """
import time
def work():
    file.seek(0); file.write(b"after"); file.flush(); os.fdatasync(file.fileno())
    memory = mmap.mmap(-1, 1 << 20); memory[0] = 1
    time.sleep(0.001); os.urandom(4)
    print("done")
thread = threading.Thread(target=work); thread.start(); thread.join()
"""
    assert confined(tmp_path, code) == "done"
    assert (tmp_path / "file").read_bytes() == b"aftere"


def test_the_readable_folder_can_be_read(tmp_path: Path) -> None:
    if offered()["landlock"] == "none":
        pytest.skip("this host has no landlock")
    assert confined(tmp_path, "print(Path(sys.argv[2], 'entry').read_bytes())") == "b'cached'"


def test_a_trial_says_for_each_measure_whether_it_holds_and_leaves_this_process_free() -> None:
    measures = try_confinement()
    assert list(measures) == ["no new privileges", "namespaces", "landlock", "seccomp"]
    assert measures["no new privileges"] == ""
    assert Path("/etc/passwd").exists() and subprocess.run(["true"], timeout=20).returncode == 0


def test_the_filter_is_a_program_the_kernel_can_take() -> None:
    code = program(tuple(ALWAYS.values()), rules(1))
    assert len(code) % INSTRUCTION.size == 0
    assert len(code) // INSTRUCTION.size < 4096
    assert len(set(ALWAYS.values())) == len(ALWAYS)


FOLDER = """
import sys, os, socket
from guesthouse.host.confinement import confine_to_folder
folder = os.open(sys.argv[1], os.O_RDONLY)
processes = os.open("/proc/self/fd", os.O_PATH)
measures = confine_to_folder(folder, READONLY)
if measures["seccomp"] or measures["landlock"]:
    print("not confined"); sys.exit()
def denied(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except OSError as error:
        return error.errno in (1, 13)
    return False
"""


def confined_to_folder(tmp_path: Path, code: str, readonly: bool = False) -> str:
    share = tmp_path / "share"
    for name in ("a", "b"):
        (share / name).mkdir(parents=True)
    (share / "a/file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    command = [sys.executable, "-c", FOLDER.replace("READONLY", str(readonly)) + code, str(share)]
    result = subprocess.run(command, capture_output=True, timeout=20, text=True)
    assert not result.stderr
    if result.stdout == "not confined\n":
        pytest.skip("this host has no seccomp filters, or no landlock")
    return result.stdout.strip()


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    "attempt",
    [
        "os.open, '/etc/passwd', os.O_RDONLY",
        "os.open, '../secret', os.O_RDONLY, dir_fd=folder",
        "os.open, '../new', os.O_RDWR | os.O_CREAT, dir_fd=folder",
        "os.unlink, '../secret', dir_fd=folder",
        "os.rename, 'a/file', '../file', src_dir_fd=folder, dst_dir_fd=folder",
        "os.mknod, 'device', 0o20666, os.makedev(1, 3), dir_fd=folder",
        "os.mknod, 'socket', 0o140666, dir_fd=folder",
        "socket.socket",
        "os.fork",
        "os.execv, '/bin/true', ['true']",
        "os.kill, os.getppid(), 0",
        "os.chown, 'a/file', 1, 1, dir_fd=folder",
    ],
)
def test_what_a_folder_s_server_is_denied(tmp_path: Path, attempt: str, readonly: bool) -> None:
    assert confined_to_folder(tmp_path, f"print(denied({attempt}))", readonly) == "True"


WORK = """
os.rename("a/file", "b/file", src_dir_fd=folder, dst_dir_fd=folder)
place = os.open("b/file", os.O_PATH, dir_fd=folder)
file = os.open(str(place), os.O_RDWR, dir_fd=processes)
os.pwrite(file, b"changed", 0); os.fsync(file); os.ftruncate(file, 5)
os.chmod(str(place), 0o640, dir_fd=processes)
os.link(str(place), "a/other", src_dir_fd=processes, dst_dir_fd=folder)
os.mkfifo("pipe", dir_fd=folder); os.symlink("x", "link", dir_fd=folder); os.mkdir("dir", dir_fd=folder)
print(os.preadv(file, [bytearray(10)], 0), os.fstatvfs(folder).f_bsize > 0)
"""


def test_what_a_folder_s_server_may_do(tmp_path: Path) -> None:
    assert confined_to_folder(tmp_path, WORK) == "5 True"
    assert (tmp_path / "share/a/other").read_bytes() == b"chang"


@pytest.mark.parametrize(
    "attempt",
    [
        "os.open, 'a/file', os.O_WRONLY, dir_fd=folder",
        "os.open, 'new', os.O_RDWR | os.O_CREAT, dir_fd=folder",
        "os.mkdir, 'new', dir_fd=folder",
        "os.unlink, 'a/file', dir_fd=folder",
        "os.chmod, 'a/file', 0o777, dir_fd=folder",
        "os.utime, 'a/file', (1, 1), dir_fd=folder",
        "os.setxattr, folder, 'user.x', b''",
    ],
)
def test_what_is_shared_to_be_read_can_t_be_changed(tmp_path: Path, attempt: str) -> None:
    code = f"print(denied({attempt}), os.read(os.open('a/file', os.O_RDONLY, dir_fd=folder), 10))"
    assert confined_to_folder(tmp_path, code, readonly=True) == "True b'content'"


SOCKETS_HEAD = """
import os, socket, sys
from guesthouse.host.confinement import confine_to_sockets
from guesthouse.host.guest_sockets import accept_end, dial_end
inside, outside = sys.argv[1:]
folder = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
listener = socket.socket(socket.AF_UNIX); listener.bind(inside + "/s"); listener.listen()
other = socket.socket(socket.AF_UNIX); other.bind(outside + "/s"); other.listen()
internet = socket.socket()
measures = confine_to_sockets(folder)
os.close(folder)
if measures["seccomp"] or measures["landlock"] or measures["root"]:
    print("not confined"); sys.exit()
def denied(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except OSError as error:
        return error.errno in (1, 2, 13, 101)
    return False
"""


def confined_to_sockets(tmp_path: Path, code: str) -> str:
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "inside/way out").symlink_to(tmp_path / "outside/s")
    command = [sys.executable, "-c", SOCKETS_HEAD + code, str(tmp_path / "inside"), str(tmp_path / "outside")]
    result = subprocess.run(command, capture_output=True, timeout=20, text=True)
    assert not result.stderr
    if result.stdout == "not confined\n":
        pytest.skip("this host does not let a process have a root folder of its own, or lacks seccomp or landlock")
    return result.stdout.strip()


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket(socket.AF_UNIX).connect, outside + '/s'",
        "socket.socket(socket.AF_UNIX).connect, '../outside/s'",
        "socket.socket(socket.AF_UNIX).connect, 'way out'",
        "internet.connect, ('127.0.0.1', 1)",
        "socket.socket",
        "socket.socket, socket.AF_NETLINK, socket.SOCK_RAW",
        "socket.socket(socket.AF_UNIX).bind, 'new'",
        "os.open, '/etc/passwd', os.O_RDONLY",
        "os.open, 's', os.O_RDONLY",
        "os.unlink, 's'",
        "os.chroot, '.'",
        "os.listdir, '.'",
        "os.fork",
        "os.kill, os.getppid(), 0",
    ],
)
def test_what_the_process_of_a_guest_s_sockets_is_denied(tmp_path: Path, attempt: str) -> None:
    assert confined_to_sockets(tmp_path, f"print(denied({attempt}))") == "True"


CARRY = """
near, far = dial_end(b"s"), accept_end(listener)
near.write(b"carried on"); near.shut(reading=False, writing=True)
print(far.read(100).decode(), far.read(100), far.hung_up)
"""


def test_what_the_process_of_a_guest_s_sockets_may_do(tmp_path: Path) -> None:
    assert confined_to_sockets(tmp_path, CARRY) == "carried on b'' False"
