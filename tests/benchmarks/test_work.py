"""Every work is built for the guest and for this machine, and does the same there, more often."""

import shutil
from pathlib import Path

import pytest

from benchmarks import programs, work
from benchmarks.compute import in_linux
from benchmarks.measure import Run, between_marks
from benchmarks.options import options
from benchmarks.session import Session
from benchmarks.sides import Guest

needs_compilers = pytest.mark.skipif(
    not (shutil.which(programs.COMPILER) and shutil.which("gcc")), reason="no compilers for both sides"
)


@needs_compilers
def test_a_program_takes_its_rounds_natively_only(tmp_path: Path) -> None:
    crc = work.prepare("crc", tmp_path, 0.5)
    assert crc.command == "/bench/crc"
    assert crc.native_arguments == (str(round(programs.rounds_of("crc") * 0.5) * work.NATIVE_TIMES),)
    assert crc.operations == 0


@needs_compilers
@pytest.mark.parametrize("name", work.SYSTEM)
def test_work_for_the_kernel_counts_what_it_does(name: str, tmp_path: Path) -> None:
    built = work.prepare(name, tmp_path, 20 / work.SYSTEM[name])
    assert built.command == f"/bench/system {name} 20"
    with Run([str(built.native), *built.native_arguments], timeout=30) as run:
        assert int(between_marks(run, name).checksum, 16) == 20 * work.NATIVE_TIMES


@needs_compilers
def test_threads_do_all_rounds(tmp_path: Path) -> None:
    threads = programs.build_tool("threads", tmp_path, programs.NATIVE)
    with Run([str(threads), "3", "10"], timeout=30) as run:
        assert int(between_marks(run, "threads").checksum, 16) == 10


def test_what_does_not_compile_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = options(["--programs", "crc,fft", "--columns", "qemu,cold"])
    rows = in_linux(Session(chosen, tmp_path), Guest())
    assert [row.name for row in rows] == ["crc", "fft"]
    assert all("gcc" in row.cell(column).error for row in rows for column in ("qemu", "cold"))
