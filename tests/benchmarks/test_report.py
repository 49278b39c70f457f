"""The table's figures are medians, ratios of CPU time and geometric means."""

import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import plot, report
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


def test_summary_has_geometric_mean_and_least() -> None:
    summary = report.summary(rows())
    assert summary["cold"] == {"geometric_mean": pytest.approx(1.0), "least": 0.5}
    assert summary["interpreter"] == {"geometric_mean": None, "least": None}


def test_table_has_a_line_a_program_and_the_mean() -> None:
    lines = report.table("program", rows()).splitlines()
    assert len(lines) == 2 + 2 + 1
    assert lines[2] == "| fast | 2.00 | 1.00 | 2.00 | 0.50 | 4.00 | 4.00 |"
    assert lines[-1] == "| geometric mean |  |  | 1.00 |  | 2.00 | 4.00 |"
    assert len({line.count("|") for line in lines}) == 1


def test_plot_is_svg_with_a_bar_for_each_speed() -> None:
    tree = ElementTree.fromstring(plot.bars(rows()))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"fast", "slow", "2.00", "0.50", "4.00"} <= set(texts)
    assert ElementTree.fromstring(plot.bars([])) is not None
