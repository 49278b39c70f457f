"""What the benchmark says at the end: medians, ratios and geometric means, as tables and as JSON."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

COLUMNS = ("native", "qemu", "cold", "warm", "interpreter")
OURS = ("cold", "warm", "interpreter")
HEADINGS = {
    "native": "native",
    "qemu": "QEMU",
    "cold": "ours, first time",
    "warm": "ours, second time",
    "interpreter": "interpreter alone",
}


@dataclass
class Cell:
    """The runs of one program in one column: CPU and wall seconds of each, or why there are none."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def median(self) -> float | None:
        """The median CPU time in seconds; None where a run failed or none was made."""
        return statistics.median(self.cpu) if self.cpu and not self.error else None


@dataclass
class Row:
    """One program: its cells by column, its group, and the cost of translation in microseconds per guest instruction.

    operations: how many were done in each run, where a rate is told and not a time; else 0.
    """

    name: str
    cells: dict[str, Cell] = field(default_factory=dict)
    translation_us: list[float] = field(default_factory=list)
    translation_seconds: list[float] = field(default_factory=list)
    group: str = ""
    operations: int = 0

    def cell(self, column: str) -> Cell:
        """The cell of `column`, made if it isn't there."""
        return self.cells.setdefault(column, Cell())

    def speed(self, column: str) -> float | None:
        """How many times QEMU's speed: QEMU's CPU time over that of `column`."""
        return _ratio(self.cell("qemu").median, self.cell(column).median)

    def slowdown(self, column: str) -> float | None:
        """How many times the native CPU time `column` takes."""
        return _ratio(self.cell(column).median, self.cell("native").median)

    def rate(self, column: str) -> float | None:
        """Operations per CPU second."""
        return _ratio(self.operations, self.cell(column).median)


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of the values that are there; None where there are none."""
    there = [value for value in values if value]
    return math.exp(sum(map(math.log, there)) / len(there)) if there else None


def least(values: Iterable[float | None]) -> float | None:
    """The least of the values that are there; None where there are none."""
    return min((value for value in values if value is not None), default=None)


def groups_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows by group, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def table(title: str, rows: Sequence[Row], mean: bool = True) -> str:
    """The rows as a Markdown table, CPU seconds or rates; beside each what it is in times QEMU's and in native times.

    mean: a line with the geometric mean of the ratios below each group, and one with the least.
    """
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    translation = any(row.translation_us for row in rows)
    heading = [title]
    for column in columns:
        unit = "per CPU second" if any(row.operations for row in rows) else "s"
        heading += [f"{HEADINGS[column]}, {unit}", *(text for text, _ in _ratios(column, columns))]
    heading += ["translation, us/instruction"] * translation
    lines = [_line(heading), _line(["---"] + ["--:"] * (len(heading) - 1))]
    for group, members in groups_of(rows).items():
        lines += [_line(_cells_of(row, columns, translation)) for row in members]
        if mean:
            lines.append(_line(_means(f"{group} geometric mean".strip(), members, columns, translation)))
            lines.append(_line(_extremes(f"{group} least speed, most slowdown".strip(), members, columns, translation)))
    return "\n".join(lines)


def errors(rows: Iterable[Row]) -> list[str]:
    """One sentence for each cell that failed."""
    return [
        f"{row.name}, {HEADINGS[column]}: {cell.error}"
        for row in rows
        for column, cell in row.cells.items()
        if cell.error
    ]


def summary(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float | None]]]:
    """By group, for each of our columns the geometric mean and the least of the speeds, in times QEMU's."""
    return {
        group: {
            column: {
                "geometric_mean": geometric_mean(row.speed(column) for row in members),
                "least": least(row.speed(column) for row in members),
            }
            for column in OURS
        }
        for group, members in groups_of(rows).items()
    }


def as_data(rows: Iterable[Row]) -> dict[str, Mapping[str, object]]:
    """The rows as plain data for JSON, by name."""
    return {
        row.name: {
            **asdict(row),
            "median": {c: cell.median for c, cell in row.cells.items()},
            "times_qemu": {c: row.speed(c) for c in OURS if c in row.cells},
            "times_native": {c: row.slowdown(c) for c in COLUMNS[1:] if c in row.cells},
        }
        for row in rows
    }


def _ratio(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _ratios(column: str, columns: Sequence[str]) -> list[tuple[str, str]]:
    """The ratios shown beside `column`: heading and the method of Row that tells it."""
    shown = []
    if column in OURS:
        shown.append(("times QEMU's speed", "speed"))
    if column != "native" and "native" in columns:
        shown.append(("times native's time", "slowdown"))
    return shown


def _ratios_of(row: Row, column: str, columns: Sequence[str]) -> list[float | None]:
    told = {"speed": row.speed, "slowdown": row.slowdown}
    return [told[method](column) for _, method in _ratios(column, columns)]


def _cells_of(row: Row, columns: Sequence[str], translation: bool) -> list[str]:
    texts = [row.name]
    for column in columns:
        cell = row.cell(column)
        value = f"{row.rate(column) or 0:.0f}" if row.operations and cell.median else _number(cell.median)
        texts.append("failed" if cell.error else value)
        texts += map(_number, _ratios_of(row, column, columns))
    return [*texts, *[_number(statistics.median(row.translation_us) if row.translation_us else None)] * translation]


def _means(title: str, rows: Sequence[Row], columns: Sequence[str], translation: bool) -> list[str]:
    texts = [title]
    for column in columns:
        texts.append("")
        texts += [_number(geometric_mean(values)) for values in _by_ratio(rows, column, columns)]
    costs = [statistics.median(row.translation_us) for row in rows if row.translation_us]
    return [*texts, *[_number(geometric_mean(costs))] * translation]


def _extremes(title: str, rows: Sequence[Row], columns: Sequence[str], translation: bool) -> list[str]:
    texts = [title]
    for column in columns:
        texts.append("")
        for (_, method), values in zip(_ratios(column, columns), _by_ratio(rows, column, columns), strict=True):
            there = [value for value in values if value is not None]
            texts.append(_number((min if method == "speed" else max)(there, default=None)))
    return [*texts, *[""] * translation]


def _by_ratio(rows: Sequence[Row], column: str, columns: Sequence[str]) -> list[list[float | None]]:
    each = [_ratios_of(row, column, columns) for row in rows]
    return [list(values) for values in zip(*each, strict=True)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
