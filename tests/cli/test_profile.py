from pathlib import Path
from xml.etree import ElementTree

from click.testing import CliRunner, Result

from guesthouse.cli.profile import command
from guesthouse.cli.profile_names import ProfileNames
from guesthouse.cli.profile_report import ProfileReport, weighted_stacks
from guesthouse.errors import UserError
from guesthouse.guest.symbols import Symbols
from guesthouse.manager.profile import Profile, Sample
from tests.virtual.machine.programs import assembled
from tests.virtual.machine.test_sampling import busy

PAGE = 0x8020_0000


def made(**changes) -> Profile:
    code = assembled("nop\nadd a0, a0, a1\nsub a0, a0, a1\nj .\n").data.ljust(4096, b"\0")
    samples = (
        Sample(1, 9, "translator", "", PAGE + 4, (PAGE + 4, 0x500), 6, 600),
        Sample(0, 7, "stitcher", "", -1, (0x10_0000,), 2, 200),
        Sample(0, 8, "interpreter", "", -1, (0x10_0000,), 1, 100),
        Sample(1, 9, "monitor", "device_write uart", PAGE + 12, (PAGE + 12, 0x500), 1, 100),
    )
    values = {
        "counted": False, "samples": samples,
        "names": {PAGE + 4: ("hot", 4), PAGE + 12: ("cold", 0), 0x500: ("main", 2)},
        "processes": {}, "no_names": "",
        "pages": {PAGE: code}, "engine": 900, "waiting": 50, "answering": {"DEVICE_WRITE": 100},
        "exits": {"DEVICE_WRITE": 3}, "steps": {"interpreter": 30, "stitcher": 0, "translator": 70},
    }  # fmt: skip
    return Profile(**{**values, **changes})


def report(profile: Profile, *files: Symbols, top: int = 10) -> str:
    return "\n".join(ProfileReport(profile, ProfileNames(profile, files), top).lines(places=2))


def test_tables() -> None:
    text = report(made())
    assert "supervisor mode 70.0 %, user mode 30.0 %" in text
    assert "  60.0 %    70.0 %  translator\n" in text
    assert "  10.0 %            monitor (Python: devices and firmware)\n" in text
    assert "  60.0 %    60.0 %  translator 100 %  hot\n" in text
    assert "  20.0 %    20.0 %    stitcher 100 %  [user process 1]\n" in text
    assert "  10.0 %    10.0 %  interpreter 100 %  [user process 2]\n" in text
    assert "         3     0.000  device write" in text


def test_processes_have_their_programs_names() -> None:
    text = report(made(processes={7: "sh", 8: "sh"}))
    assert "  30.0 %    30.0 %    stitcher  67 %  [user sh]\n" in text


def test_hot_places_have_their_code() -> None:
    text = report(made())
    assert "60.0 % in hot:\n  60.0 %  80200004: add     a0,a0,a1\n          80200008: sub     a0,a0,a1\n" in text


def test_of_long_code_the_row_with_the_most_samples_is_shown() -> None:
    nops = assembled("nop\n" * 1000).data.ljust(4096, b"\0")
    weights = {0: 5, 400: 9, 440: 9}
    hot = [Sample(1, 9, "stitcher", "", PAGE + at, (PAGE + at,), 1, weight) for at, weight in weights.items()]
    names = {PAGE + at: ("long", at) for at in (0, 400, 440)}
    text = report(made(samples=tuple(hot), names=names, pages={PAGE: nops}))
    assert "  39.1 %  80200190: nop" in text and "802001b8: nop" in text
    assert "  80200000: nop" not in text


def test_names_from_files_come_first_and_rows_are_limited() -> None:
    text = report(made(), Symbols([(0xF_FFF0, "program")]), top=1)
    assert "program" not in text
    assert "(2 more functions)" in text
    assert "  30.0 %    30.0 %    stitcher  67 %  program" in report(made(), Symbols([(0xF_FFF0, "program")]))


def test_stacks_begin_outside_and_python_lies_on_top() -> None:
    profile = made()
    found = list(weighted_stacks(profile, ProfileNames(profile)))
    assert found[0] == (("main", "hot"), "translator", 600)
    assert found[3] == (("main", "cold", "[device_write uart]"), "monitor", 100)
    assert found[-1] == (("[waiting]",), "waiting", 50)


def test_without_names_the_report_says_why() -> None:
    assert "no tables there" in report(made(names={}, no_names="no tables there"))
    assert "[unknown]" in report(made(names={}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def test_a_program_profiled_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "busy").write_bytes(busy(3000))
    svg, output = tmp_path / "graph.svg", tmp_path / "report"
    options = ["--clock", "instructions", "--engine", "interpreter", "--every", "997"]
    result = run("--kernel", str(tmp_path / "busy"), *options, "--svg", str(svg), "--output", str(output), "--code")
    assert result.exit_code == 0, result.output
    text = output.read_text()
    assert "interpreter 100 %  hot\n" in text
    assert "100 %  hot" in text.split("function\n")[1].splitlines()[0]
    assert "The region that begins at" in text
    stencils, translated = text.split("Stencils: ")[1].split("LLVM IR of the region")
    assert "write.rd.x(%rdi)" in stencils and "t0,t0,-1" in stencils
    assert "define dso_local" in translated and "jmp     handler" in translated
    names = [title.text.split(":")[0] for title in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert {"_start", "outer", "hot"} <= set(names)


def test_hello_is_profiled_with_its_names() -> None:
    result = run("hello", "--clock", "instructions", "--every", "97")
    assert result.exit_code == 0
    assert "in print:" in result.stderr
    assert "symbol tables are not found" not in result.stderr


def test_bad_input_gives_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no map\n")
    for path, sentence in (("text", "is neither an ELF file nor a System.map"), ("none", "Can't read the file of")):
        result = run("hello", "--symbols", str(tmp_path / path))
        assert isinstance(result.exception, UserError) and sentence in str(result.exception)
    result = run("hello", "--every", "100000000")
    assert "ended before the first sample" in str(result.exception)
