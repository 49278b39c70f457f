"""The benchmark's pictures, as SVG: bars of speed in times QEMU's, and where the time of a boot goes."""

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.report import HEADINGS, Row

COLOURS = {"cold": "#2f6f9f", "warm": "#7fb2d6", "interpreter": "#c9a24b"}
BAR, GAP, LEFT, RIGHT, TOP = 9, 8, 120, 60, 46
WIDTH = 720
PHASE_COLOURS = ("#8c8c8c", "#2f6f9f", "#7fb2d6", "#c9a24b", "#b03030", "#6f9f4f", "#b58cc9", "#404040")
STACK, STACK_STEP = 22, 34


def bars(rows: Sequence[Row]) -> str:
    """An SVG document: for each program one bar a column, a line where QEMU is, the figure at the bar's end."""
    columns = [column for column in COLOURS if any(row.speed(column) for row in rows)]
    most = max((row.speed(column) or 0 for row in rows for column in columns), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / max(most, 1.0)
    step = len(columns) * BAR + GAP
    height = TOP + step * len(rows) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="14">speed, in times that of QEMU (more is better)</text>',
    ]
    parts += [_legend(column, LEFT + 150 * at) for at, column in enumerate(columns)]
    for number, row in enumerate(rows):
        parts += _row(row, columns, TOP + number * step, scale)
    line = LEFT + scale
    parts.append(f'<path d="M{line:.1f} {TOP - 6}V{height - GAP}" stroke="#b03030" stroke-dasharray="4 3"/>')
    return "\n".join([*parts, "</svg>\n"])


def _legend(column: str, x: int) -> str:
    text = escape(HEADINGS[column])
    return (
        f'<rect x="{x}" y="22" width="10" height="10" fill="{COLOURS[column]}"/><text x="{x + 14}" y="31">{text}</text>'
    )


def _row(row: Row, columns: Sequence[str], top: int, scale: float) -> list[str]:
    parts = [
        f'<text x="{LEFT - 6}" y="{top + len(columns) * BAR / 2 + 4:.1f}" text-anchor="end">{escape(row.name)}</text>'
    ]
    for number, column in enumerate(columns):
        speed, y = row.speed(column), top + number * BAR
        if speed is not None:
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{speed * scale:.1f}" height="{BAR - 1}" fill="{COLOURS[column]}"/>'
                f'<text x="{LEFT + speed * scale + 4:.1f}" y="{y + BAR - 1}" font-size="9">{speed:.2f}</text>'
            )
    return parts


def stacks(phases: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG document: for each column a bar of the CPU seconds of its phases, one behind the other."""
    names = list(dict.fromkeys(name for parts in phases.values() for name in parts))
    most = max((sum(parts.values()) for parts in phases.values()), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + STACK_STEP * len(phases) + 16 * len(names) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="14">boot and power off: CPU seconds by phase (less is better)</text>',
    ]
    for number, (column, shares) in enumerate(phases.items()):
        parts += _stack(HEADINGS[column], shares, names, TOP - 16 + number * STACK_STEP, scale)
    for number, name in enumerate(names):
        y = TOP + STACK_STEP * len(phases) + 16 * number
        parts.append(f'<rect x="{LEFT}" y="{y - 9}" width="10" height="10" fill="{_colour(number)}"/>')
        parts.append(f'<text x="{LEFT + 14}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _stack(title: str, shares: Mapping[str, float], names: Sequence[str], top: int, scale: float) -> list[str]:
    parts, x = [f'<text x="{LEFT - 6}" y="{top + 15}" text-anchor="end">{escape(title)}</text>'], float(LEFT)
    for number, name in enumerate(names):
        width = shares.get(name, 0.0) * scale
        parts.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{STACK}" fill="{_colour(number)}"/>')
        x += width
    total = sum(shares.values())
    return [*parts, f'<text x="{x + 4:.1f}" y="{top + 15}">{total:.2f}</text>']


def _colour(number: int) -> str:
    return PHASE_COLOURS[number % len(PHASE_COLOURS)]
