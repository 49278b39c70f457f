"""The programs compile for both platforms and compute what was computed beforehand on another processor."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import linux_guest, programs
from benchmarks.measure import Run, between_marks
from benchmarks.sides import QEMU, Guest, Ours, qemu_command

needs_compiler = pytest.mark.skipif(shutil.which(programs.COMPILER) is None, reason="no riscv64 cross compiler")
needs_native_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc for this machine")
needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason="no qemu-system-riscv64")


def test_every_source_is_in_the_list() -> None:
    sources = {path.stem for path in programs.SOURCES.glob("*.c")} - {"bench"}
    assert sources == set(programs.PROGRAMS)


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_every_program_names_its_checksum(name: str) -> None:
    text = (programs.SOURCES / f"{name}.c").read_text()
    assert re.search(r"^#define EXPECTED 0x[0-9a-f]{16}u$", text, re.MULTILINE)
    assert programs.rounds_of(name) >= 1


def test_there_are_enough_of_both_groups() -> None:
    assert len(programs.INTEGER) >= 25
    assert len(programs.FLOAT) >= 10
    assert len(set(programs.PROGRAMS)) == len(programs.PROGRAMS)


@needs_native_compiler
@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_two_rounds_are_right_on_this_machine(name: str, tmp_path: Path) -> None:
    program = programs.build_native(name, tmp_path, scale=2 / programs.rounds_of(name))
    with Run([str(program)], timeout=60) as run:
        assert re.fullmatch(r"0x[0-9a-f]{16}", between_marks(run, name).checksum)
        assert run.finish() == 0


@needs_compiler
@needs_qemu
@pytest.mark.parametrize("name", [name for name in programs.PROGRAMS if name not in programs.LINUX_ONLY])
def test_one_round_is_right_on_the_bare_board(name: str, tmp_path: Path) -> None:
    elf = programs.build_bare_metal(name, tmp_path, scale=0)
    with Run(qemu_command(Guest(firmware=elf)), timeout=60) as run:
        assert re.fullmatch(r"0x[0-9a-f]{16}", between_marks(run, name).checksum)
        assert run.finish() == 0


@needs_compiler
def test_linux_programs_are_static(tmp_path: Path) -> None:
    program = programs.build_linux("sieve", tmp_path, scale=0)
    described = subprocess.run(["readelf", "-lh", str(program)], capture_output=True, text=True, check=True).stdout
    assert "RISC-V" in described
    assert "INTERP" not in described


@needs_compiler
def test_a_second_build_compiles_nothing(tmp_path: Path) -> None:
    first = programs.build_bare_metal("crc", tmp_path)
    made = first.stat().st_mtime_ns
    assert programs.build_bare_metal("crc", tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert programs.build_bare_metal("crc", tmp_path, scale=2) != first


def test_kernels_are_unpacked() -> None:
    image = b"MZ\x6f\x10" + bytes(60) + b"the kernel"
    packed = linux_guest.gzip.compress(image)
    head = b"MZ\0\0zimg" + (64).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + bytes(8) + b"gzip"
    zboot = head.ljust(64, b"\0") + packed + b"padding"
    for form in (image, packed, zboot, linux_guest.zstandard.compress(image)):
        assert linux_guest.unpack_kernel(form) == image


def test_programs_follow_the_initrd_at_a_multiple_of_four(tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(b"first")
    (tmp_path / "program").write_bytes(b"ELF")
    guest = linux_guest.add_programs(Guest(initrd=tmp_path / "initrd"), {"sieve": tmp_path / "program"}, tmp_path)
    assert guest.initrd is not None
    combined = guest.initrd.read_bytes()
    assert combined[:8] == b"first\0\0\0"
    assert combined[8:14] == b"070701"
    assert b"bench/sieve\0" in combined


def test_statistics_are_flat_names_and_numbers(tmp_path: Path) -> None:
    ours = Ours(["guesthouse"], tmp_path)
    assert ours.stats() == {}
    ours.stats_file.write_text('{"MIPS": 100, "traps": {"page fault": 3}, "engine": "auto"}')
    assert ours.stats() == {"mips": 100.0, "traps_page_fault": 3.0}


def test_our_command_starts_from_an_own_cache(tmp_path: Path) -> None:
    ours = Ours(["guesthouse"], tmp_path)
    ours.empty_cache()
    (ours.cache / "translation").touch()
    ours.empty_cache()
    assert not (ours.cache / "translation").exists()
    assert ours.environment()["XDG_CACHE_HOME"] == str(ours.cache)
    command = ours.command(Guest(firmware=Path("prog.elf")), "interpreter")
    assert command[:4] == ["guesthouse", "run", "--engine", "interpreter"]
    assert command[-2:] == ["--firmware", "prog.elf"]
