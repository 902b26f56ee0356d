"""Charts of the live page as SVG, small enough to be sent with every change. Colours are classes of
its style sheet, so that they suit a dark screen, too."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 400, 246
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 32
POINTS = 60  # of a line
ARMS = 8  # colours
REST = -1  # the arm of what is told apart from nothing: a quiet colour

Point = tuple[float, float]


class Line(NamedTuple):
    """A line: `kind` is one of ended, paused, running, best; `arm` its colour, from 0, or REST."""

    points: Sequence[Point]
    arm: int
    kind: str
    title: str


class Dot(NamedTuple):
    """A mark at a point."""

    at: Point
    arm: int
    kind: str
    title: str


def chart(
    name: str,
    lines: Sequence[Line],
    dots: Sequence[Dot],
    axes: tuple[str, str],
    window: Sequence[float] | None = None,
) -> str:
    """A picture with two axes; "" where there is nothing to show.

    Args:
        name: what it is, for those who cannot see it.
        window: the range of y, where some values are to lie outside.
    """
    places = [p for line in lines for p in line.points] + [d.at for d in dots]
    places = [(x, y) for x, y in places if math.isfinite(x) and math.isfinite(y)]
    if not places:
        return ""
    right = max(x for x, _ in places) or 1
    x_ticks = [x for x in ticks(0, right, is_whole=True) if x <= right]
    low, high = window or (min(y for _, y in places), max(y for _, y in places))
    frame = _Frame(right, *span(low, high))
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" ',
        f'aria-label="{escape(name)}">',
        *_grid(frame, x_ticks, ticks(low, high), axes),
        # what lies outside the window of y is cut off; a mark at the right end is not
        f'<svg x="{LEFT}" y="0" width="{WIDTH - LEFT}" height="{HEIGHT - BOTTOM}" '
        f'viewBox="{LEFT} 0 {WIDTH - LEFT} {HEIGHT - BOTTOM}">',
        *(_line(frame, line) for line in lines),
        *(_dot(frame, dot) for dot in dots),
        "</svg></svg>",
    ]
    return "".join(parts)


class _Frame(NamedTuple):
    """What the axes span; x begins at 0."""

    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return round(LEFT + value / self.right * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def span(low: float, high: float) -> tuple[float, float]:
    """What a picture shows of an axis where it is to hold these: as far as its ticks reach."""
    marks = ticks(low, high)
    return min(low, marks[0]), max(high, marks[-1])


def ticks(low: float, high: float, about: int = 5, *, is_whole: bool = False) -> list[float]:
    """Round numbers from one at `low` or below it to one at `high` or above; whole ones of what is
    counted."""
    if not high > low:
        high = low + (abs(low) or 1) * 0.1
    rough = (high - low) / about
    tens = 10 ** math.floor(math.log10(rough))
    steps = (m * tens for m in ((1, 2, 5, 10) if is_whole else (1, 2, 2.5, 5, 10)))
    step = next(s for s in steps if s >= rough * 0.999)
    step = max(step, 1.0) if is_whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def _grid(
    frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], axes: tuple[str, str]
) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in y_ticks:
        y = frame.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{right}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" class="end">{value:g}</text>')
    for value in x_ticks:
        parts.append(f'<text x="{frame.x(value)}" y="{bottom + 15}" class="mid">{value:g}</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 3}" class="end">{escape(axes[0])}</text>')
    parts.append(f'<text x="2" y="12">{escape(axes[1])}</text>')
    return parts


def _line(frame: _Frame, line: Line) -> str:
    shown = [(x, y) for x, y in thinned(line.points) if math.isfinite(y)]
    if not shown:
        return ""
    path = "L".join(f"{frame.x(x)} {frame.y(y)}" for x, y in shown)
    if len(shown) == 1:
        path += "h6"
    kind = f"line {line.kind} {color(line.arm)}"
    return f'<path class="{kind}" d="M{path}"><title>{escape(line.title)}</title></path>'


def _dot(frame: _Frame, dot: Dot) -> str:
    x, y = frame.x(dot.at[0]), frame.y(dot.at[1])
    kind = f"dot {dot.kind} {color(dot.arm)}"
    told = f"<title>{escape(dot.title)}</title>"
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="3">{told}</circle>'


def color(arm: int) -> str:
    """The class of a colour."""
    return "rest" if arm == REST else f"arm{arm % ARMS}"


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most POINTS of them, the first and the last among these."""
    if len(points) <= POINTS:
        return list(points)
    chosen = {round(i * (len(points) - 1) / (POINTS - 1)) for i in range(POINTS)}
    return [points[i] for i in sorted(chosen)]
