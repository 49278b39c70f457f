"""What is asked for is chosen of what there is, in the order of the table."""

import pytest

from benchmarks.options import options
from benchmarks.work import SYSTEM, names_of


def test_all_is_the_usual() -> None:
    chosen = options([])
    assert chosen.parts == ["linux", "boot", "idle", "hello"]
    assert chosen.programs == names_of(("integer", "float", "system"))
    assert chosen.columns == ["native", "qemu", "cold", "warm", "interpreter"]
    assert chosen.runs == 3


def test_groups_and_programs_narrow_each_other() -> None:
    assert options(["--groups", "system"]).programs == list(SYSTEM)
    assert options(["--groups", "float,integer", "--programs", "pipes,fft,crc"]).programs == ["crc", "fft"]


def test_there_is_no_second_time_without_a_first() -> None:
    assert options(["--columns", "qemu,warm"]).columns == ["qemu", "cold", "warm"]


def test_quick_is_one_run_of_some() -> None:
    chosen = options(["--quick"])
    assert chosen.runs == 1
    assert 5 < len(chosen.programs) < 20
    assert "interpreter" not in chosen.columns
    assert options(["--quick", "--programs", "crc"]).programs == ["crc"]


@pytest.mark.parametrize("wrong", [["--parts", "cellar"], ["--smp", "two"], ["--runs", "0"], ["--scale", "-1"]])
def test_what_there_is_not_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(wrong)
    assert wrong[0] in capsys.readouterr().err
