"""The table's figures are medians, ratios of CPU time and geometric means."""

import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import plot, report
from benchmarks.goals import verdicts
from benchmarks.report import Cell, Row


def rows() -> list[Row]:
    fast = Row("fast", {"qemu": Cell([3.0, 1.0, 2.0]), "cold": Cell([1.0]), "warm": Cell([0.5])}, [4.0, 2.0, 9.0])
    slow = Row("slow", {"qemu": Cell([1.0]), "cold": Cell([2.0]), "warm": Cell([1.0])})
    return [fast, slow]


def test_speed_is_the_ratio_of_median_cpu_times() -> None:
    fast, slow = rows()
    assert fast.speed("cold") == 2.0
    assert slow.speed("cold") == 0.5
    assert slow.speed("interpreter") is None


def test_a_failed_run_has_no_speed() -> None:
    row = Row("broken", {"qemu": Cell([1.0]), "cold": Cell([1.0], error="ended with status 2")})
    assert row.speed("cold") is None
    assert report.errors([row]) == ["broken, ours, first time: ended with status 2"]
    assert "failed" in report.table("program", [row])


def test_summary_has_geometric_mean_and_least_by_group() -> None:
    slow_float = Row("slow_float", {"qemu": Cell([1.0]), "warm": Cell([4.0])}, group="float")
    summary = report.summary([*rows(), slow_float])
    assert summary[""]["cold"] == {"geometric_mean": pytest.approx(1.0), "least": 0.5}
    assert summary[""]["interpreter"] == {"geometric_mean": None, "least": None}
    assert summary["float"]["warm"] == {"geometric_mean": pytest.approx(0.25), "least": 0.25}


def test_table_has_a_line_a_program_the_mean_and_the_least() -> None:
    lines = report.table("program", rows()).splitlines()
    assert len(lines) == 2 + 2 + 2
    assert lines[2] == "| fast | 2.00 | 1.00 | 2.00 | 0.50 | 4.00 | 4.00 |"
    assert lines[-2] == "| geometric mean |  |  | 1.00 |  | 2.00 | 4.00 |"
    assert lines[-1] == "| least speed, most slowdown |  |  | 0.50 |  | 1.00 |  |"
    assert len({line.count("|") for line in lines}) == 1


def test_native_time_stands_beside_every_column() -> None:
    row = Row("fast", {"native": Cell([0.1]), "qemu": Cell([0.8]), "warm": Cell([0.4])}, group="integer")
    lines = report.table("program", [row]).splitlines()
    assert lines[2] == "| fast | 0.10 | 0.80 | 8.00 | 0.40 | 2.00 | 4.00 |"
    assert lines[3] == "| integer geometric mean |  |  | 8.00 |  | 2.00 | 4.00 |"


def test_rates_are_operations_per_cpu_second() -> None:
    row = Row("pipes", {"qemu": Cell([0.5]), "warm": Cell([0.25])}, group="system", operations=1000)
    assert row.rate("warm") == 4000
    lines = report.table("work", [row], mean=False).splitlines()
    assert "per CPU second" in lines[0]
    assert lines[2] == "| pipes | 2000 | 4000 | 2.00 |"


def test_goals_say_what_is_reached_and_who_is_below() -> None:
    def program(name: str, group: str, warm: float) -> Row:
        return Row(name, {"qemu": Cell([6.0]), "warm": Cell([warm])}, group=group)

    said = list(verdicts([program("sieve", "integer", 1.0), program("crc", "integer", 12.0)]))
    assert "integer, geometric mean, ours, second time: 1.73 times QEMU's speed; goal 2.00, not reached" in said
    assert "integer, ours, second time: 1 of 2 below what each must reach: crc 0.50" in said
    said = list(verdicts([program("fft", "float", 1.0)]))
    assert "float, geometric mean, ours, second time: 6.00 times QEMU's speed; goal 4.00, reached" in said
    said = list(verdicts([program("pipes", "system", 2.0), program("faults", "system", 2.0)]))
    assert said == ["system, ours, second time: 1 of 2 below what each must reach: pipes 3.00"]


def test_plot_is_svg_with_a_bar_for_each_speed() -> None:
    tree = ElementTree.fromstring(plot.bars(rows()))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"fast", "slow", "2.00", "0.50", "4.00"} <= set(texts)
    assert ElementTree.fromstring(plot.bars([])) is not None


def test_stacks_are_svg_with_every_phase_named() -> None:
    phases = {"cold": {"Python start": 0.1, "translating": 1.5}, "qemu": {"all": 3.0}}
    tree = ElementTree.fromstring(plot.stacks(phases))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Python start", "translating", "all", "1.60", "3.00"} <= set(texts)
    assert ElementTree.fromstring(plot.stacks({})) is not None
