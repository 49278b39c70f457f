"""Folders of the host in a real guest: what Linux's 9P client makes of them."""

import fcntl
import hashlib
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.cli.programs import call

pytestmark = [
    pytest.mark.boot,
    pytest.mark.slow,
]
COMPILER = shutil.which("riscv64-linux-gnu-gcc")
MOUNT = "mkdir /mnt/d && mount -t 9p -o trans=virtio,version=9p2000.L{options} data /mnt/d && cd /mnt/d || exit 99\n"


def in_guest(
    folder: Path, script: str, options: str = "", share: str = "", more: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[bytes]":
    """Run a shell script in a guest, in the shared folder."""
    text = "set -e\n" + MOUNT.format(options=options and f",{options}") + script
    words = ["run", "tiny", "--share", f"{folder}:data{share}", *more, "--timeout", "100", "--", "sh", "-c", text]
    return call(*words, timeout=150)


def plain(result: "subprocess.CompletedProcess[bytes]") -> str:
    """What a script said that succeeded."""
    assert (result.returncode, result.stderr) == (0, b""), result
    return result.stdout.decode()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some hundred files in folders, and a large one."""
    dice = random.Random(1)
    share = tmp_path / "share"
    for index in range(300):
        path = share / f"tree/{index % 7}/{index % 3}/file {index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(3000)))
    (share / "large").write_bytes(dice.randbytes(6_000_000))
    return share


def sums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(("options", "more"), [("", ()), ("cache=loose,msize=524288", ("--cpus", "2"))])
def test_trees_and_large_files_are_the_same_on_both_sides(tree: Path, options: str, more: tuple[str, ...]) -> None:
    script = "find . -type f -exec sha256sum {} +; cp -a tree copy; cat large large >twice; rm -r tree/3; sync"
    before = sums(tree)
    told = dict(
        reversed(line.split("  ./", 1)) for line in plain(in_guest(tree, script, options, "", more)).splitlines()
    )
    assert told == before
    after = sums(tree)
    assert (tree / "twice").read_bytes() == (tree / "large").read_bytes() * 2
    assert {name: after[name.replace("tree", "copy", 1)] for name in before if name != "large"} == {
        name: before[name] for name in before if name != "large"
    }
    assert not (tree / "tree/3").exists() and (tree / "tree/4").exists()


NAMES = r"""
mkdir -p a/b; echo one >a/b/file; mv a/b/file a/moved; mv a z; ln z/moved hard; ln -s z/moved soft
[ "$(cat soft)" = one ]; [ "$(stat -c %h hard)" = 2 ]; [ "$(readlink soft)" = z/moved ]; rm hard; mkfifo pipe
(echo through >pipe &); [ "$(cat pipe)" = through ]
mknod device c 1 3 2>/dev/null && exit 1
exec 5<>open; echo held >&5; rm open; [ ! -e open ]; [ "$(cat /proc/self/fd/5)" = held ]
stat -L /proc/self/fd/5 >/dev/null; echo more >&5; exec 5>&-
rmdir z 2>/dev/null && exit 2
chown 1000:100 z/moved; chmod 4750 z/moved; touch -d @1000000000 z/moved; stat -c '%u %g %a %Y' z/moved
mkdir sticky; chmod 1777 sticky; echo somebody:x:1234:1234::/:/bin/sh >>/etc/passwd
su somebody -c 'echo mine >/mnt/d/sticky/mine; echo no >/mnt/d/z/no' 2>/dev/null || true
stat -c '%u %a' sticky sticky/mine; [ ! -e z/no ]
printf '%s\n' *
"""


def test_names_owners_and_open_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lines = plain(in_guest(tmp_path, NAMES)).splitlines()
    assert lines == ["1000 100 4750 1000000000", "0 1777", "1234 644", "pipe", "soft", "sticky", "z"]
    moved = (tmp_path / "z/moved").stat()
    assert moved.st_mode & 0o7777 == 0o750 and moved.st_uid == os.geteuid() and moved.st_mtime == 1_000_000_000
    assert (tmp_path / "sticky/mine").read_text() == "mine\n" and (tmp_path / "soft").is_symlink()


APPEND = r"""
for writer in 1 2 3 4; do
    (i=0; while [ $i -lt 50 ]; do echo "writer $writer line $i" >>log; i=$((i+1)); done) &
done
wait
i=0; while [ $i -lt 200 ]; do echo $i >small.$i; i=$((i+1)); done; rm small.1*; ls | wc -l; sync
"""


@pytest.mark.parametrize("cache", ["none", "mmap", "loose"])
def test_appending_by_several_and_many_small_files(tmp_path: Path, cache: str) -> None:
    (tmp_path / "log").write_text("the host's line\n")
    assert plain(in_guest(tmp_path, APPEND, f"cache={cache}")) == "90\n"
    log = (tmp_path / "log").read_text().splitlines()
    assert log[0] == "the host's line"
    assert sorted(log[1:]) == sorted(f"writer {writer} line {line}" for writer in range(1, 5) for line in range(50))


@pytest.mark.skipif(COMPILER is None, reason="there is no riscv64-linux-gnu-gcc: apt-get install gcc-riscv64-linux-gnu")
def test_locks_among_processes_of_the_guest_and_of_the_host(tmp_path: Path) -> None:
    source = Path(__file__).parent / "shares/locks.c"
    subprocess.run([COMPILER or "", "-O2", "-static", "-o", str(tmp_path / "locks"), str(source)], check=True)
    (tmp_path / "held").write_bytes(b"")
    with open(tmp_path / "held", "r+b") as held:
        fcntl.fcntl(held, fcntl.F_OFD_SETLK, struct.pack("<hh4xqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        lines = plain(in_guest(tmp_path, "./locks")).splitlines()
    no = "Resource temporarily unavailable"
    assert lines == [
        f"held by the host: {no}", "first: taken", f"second: {no}", "second again: taken", "bytes: taken",
        f"the child: {no}", "held by its parent", "beside it: taken", "waited: taken", "after it: taken",
    ]  # fmt: skip


def test_a_read_only_share_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    script = (
        "cat file; set +e; for c in 'touch new' 'rm file' 'chmod 777 file' 'mkdir d'; do $c 2>/dev/null; echo $?; done"
    )
    assert plain(in_guest(tmp_path, script, share=":ro")) == "content" + "1\n" * 4
    assert (tmp_path / "file").read_bytes() == b"content" and len(list(tmp_path.iterdir())) == 1


def test_what_a_guest_makes_does_not_lead_out(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "secret").write_bytes(b"the host's")
    script = "ln -s ../secret up; ln -s /etc/hostname out; cat out; cat up 2>/dev/null; ls ..; cat ../secret"
    result = in_guest(share, script)
    assert result.returncode == 1 and b"the host's" not in result.stdout and b"tiny" in result.stdout


def test_mounted_again_after_a_reboot_of_the_guest(tmp_path: Path) -> None:
    script = "n=$(cat count 2>/dev/null || echo 0); echo $((n+1)) >count; sync; umount -l . ; cd /; echo done"
    assert plain(in_guest(tmp_path, script)) == "done\n"
    assert plain(in_guest(tmp_path, script, "", "", ("--clock", "instructions"))) == "done\n"
    assert (tmp_path / "count").read_text() == "2\n"


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    result = call("run", "tiny", "--share", f"{tmp_path}/none:data", "--", "true", timeout=100)
    assert result.returncode == 2
    assert result.stderr.decode().startswith(f"guesthouse: Can't share the folder {tmp_path}/none: No such file")
