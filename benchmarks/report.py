"""What the benchmark says at the end: medians, ratios and geometric means, as a table and as JSON."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

COLUMNS = ("qemu", "cold", "warm", "interpreter")
HEADINGS = {
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
    """One program: its cells by column, and the cost of translation in microseconds per guest instruction."""

    name: str
    cells: dict[str, Cell] = field(default_factory=dict)
    translation_us: list[float] = field(default_factory=list)
    translation_seconds: list[float] = field(default_factory=list)

    def cell(self, column: str) -> Cell:
        """The cell of `column`, made if it isn't there."""
        return self.cells.setdefault(column, Cell())

    def speed(self, column: str) -> float | None:
        """How many times QEMU's speed: QEMU's CPU time over that of `column`."""
        qemu, ours = self.cell("qemu").median, self.cell(column).median
        return qemu / ours if qemu is not None and ours else None


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """The geometric mean of the values that are there; None where there are none."""
    there = [value for value in values if value]
    return math.exp(sum(map(math.log, there)) / len(there)) if there else None


def table(title: str, rows: Sequence[Row], mean: bool = True) -> str:
    """The rows as a Markdown table: CPU seconds, and beside each of ours the speed in times QEMU's."""
    columns = [column for column in COLUMNS if any(column in row.cells for row in rows)]
    heading = [title]
    for column in columns:
        heading += [f"{HEADINGS[column]}, s"] + ([] if column == "qemu" else ["times QEMU's speed"])
    heading.append("translation, us/instruction")
    lines = [_line(heading), _line(["---"] + ["--:"] * (len(heading) - 1))]
    lines += [_line(_cells_of(row, columns)) for row in rows]
    if mean and rows:
        last = ["geometric mean"]
        for column in columns:
            last += [""] if column == "qemu" else ["", _number(geometric_mean(row.speed(column) for row in rows))]
        last.append(_number(geometric_mean(_median(row.translation_us) for row in rows)))
        lines.append(_line(last))
    return "\n".join(lines)


def errors(rows: Iterable[Row]) -> list[str]:
    """One sentence for each cell that failed."""
    return [
        f"{row.name}, {HEADINGS[column]}: {cell.error}"
        for row in rows
        for column, cell in row.cells.items()
        if cell.error
    ]


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """For each of our columns the geometric mean and the least of the speeds, in times QEMU's."""
    result = {}
    for column in COLUMNS[1:]:
        speeds = [speed for row in rows if (speed := row.speed(column)) is not None]
        result[column] = {"geometric_mean": geometric_mean(speeds), "least": min(speeds, default=None)}
    return result


def as_data(rows: Iterable[Row]) -> dict[str, Mapping[str, object]]:
    """The rows as plain data for JSON, by name."""
    return {row.name: {**asdict(row), "median": {c: cell.median for c, cell in row.cells.items()}} for row in rows}


def _cells_of(row: Row, columns: Sequence[str]) -> list[str]:
    texts = [row.name]
    for column in columns:
        cell = row.cell(column)
        texts.append("failed" if cell.error else _number(cell.median))
        if column != "qemu":
            texts.append(_number(row.speed(column)))
    return [*texts, _number(_median(row.translation_us))]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
