"""Stacks of calls as a flame graph: an SVG of boxes, each as wide as the share of time spent below it.

One file without scripts: any browser shows it, and tells a box's numbers where the pointer rests. The colour of a box
says which engine ran most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from xml.sax.saxutils import escape

import msgspec

WIDTH, ROW, MARGIN, LETTER = 1200, 17, 10, 6.6
NARROWEST = 0.3
"""Boxes that are less wide, in pixels, are left out."""
COLOURS = {
    "interpreter": "#e8894a",
    "stitcher": "#eec554",
    "translator": "#7fbf6a",
    "reference": "#e8894a",
    "monitor": "#6fa3d8",
    "waiting": "#c9c9c9",
}
OTHER = "#dddddd"
_UNPRINTABLE = dict.fromkeys([*range(32), 0x7F, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "?")


class Frame(msgspec.Struct):
    """A function in the place where it was called: its weight with everything below, by engine."""

    name: str
    weights: Counter[str] = msgspec.field(default_factory=Counter)
    callees: dict[str, Frame] = msgspec.field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Over all engines."""
        return self.weights.total()

    def depth(self) -> int:
        """Rows of boxes from here on."""
        return 1 + max((callee.depth() for callee in self.callees.values()), default=0)


def grown(stacks: Iterable[tuple[tuple[str, ...], str, int]], name: str = "all") -> Frame:
    """The tree of (stack with the outermost function first, engine, weight)."""
    root = Frame(name)
    for stack, engine, weight in stacks:
        frame = root
        frame.weights[engine] += weight
        for function in stack:
            frame = frame.callees.setdefault(function, Frame(function))
            frame.weights[engine] += weight
    return root


def flame_graph(root: Frame, title: str, unit: str, per_unit: float) -> str:
    """The SVG; a box's tooltip has its weight divided by `per_unit`, as `unit`, and its share."""
    rows = root.depth()
    height = (rows + 2) * ROW + 3 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="monospace" font-size="11">',
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 9}" font-size="13">{_text(title)}</text>',
    ]
    scale = (WIDTH - 2 * MARGIN) / max(root.weight, 1)
    bottom = MARGIN + rows * ROW
    lines += _boxes(root, MARGIN, bottom, scale, lambda weight: _told(weight, root.weight, unit, per_unit))
    lines += _legend(sorted(root.weights), bottom + 2 * ROW + MARGIN)
    return "\n".join([*lines, "</svg>", ""])


def _told(weight: int, whole: int, unit: str, per_unit: float) -> str:
    return f"{weight / per_unit:,.1f} {unit}, {100 * weight / max(whole, 1):.2f} %"


def _boxes(frame: Frame, x: float, y: float, scale: float, told: Callable[[int], str]) -> Iterator[str]:
    """A frame's box, and above it those of what it called, by name."""
    width = frame.weight * scale
    if width < NARROWEST:
        return
    colour = COLOURS.get(frame.weights.most_common(1)[0][0], OTHER)
    yield f"<g><title>{_text(frame.name)}: {told(frame.weight)}</title>"
    yield f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{ROW - 1}" fill="{colour}" stroke="#fff" rx="1"/>'
    letters = int((width - 4) / LETTER)
    if letters >= 3:
        shown = frame.name if len(frame.name) <= letters else frame.name[: letters - 1] + "…"
        yield f'<text x="{x + 2:.2f}" y="{y + ROW - 5}">{_text(shown)}</text>'
    yield "</g>"
    for name in sorted(frame.callees):
        callee = frame.callees[name]
        yield from _boxes(callee, x, y - ROW, scale, told)
        x += callee.weight * scale


def _legend(engines: list[str], y: float) -> Iterator[str]:
    x = MARGIN
    for engine in engines:
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS.get(engine, OTHER)}"/>'
        yield f'<text x="{x + 16}" y="{y}">{_text(engine)}</text>'
        x += int(40 + LETTER * len(engine))


def _text(text: str) -> str:
    """Names come from the guest: nothing in them may be markup, or no character of XML's."""
    return escape(text.translate(_UNPRINTABLE), {'"': "&quot;"})
