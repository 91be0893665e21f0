"""Charts as SVG text: small, themed by the page's colours, with marks that differ without colour.

Coordinates are those of the viewBox; the page scales it. Every series carries its method and
ranking, so that the page's filters reach it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 22, 12, 40

SHAPES = ("circle", "square", "diamond", "up", "down", "cross", "plus")


@dataclass(frozen=True)
class Series:
    """One line, or some points.

    Attributes:
        label: for tooltips.
        colour: which of the page's colours, see `style.css`.
        points: (x, y), in rising x.
        band: (x, low, high) around it; () for none.
        dashed: whether its line is.
        attributes: of the group, for filters: {"data-method": "tcr"}.
        joined: whether a line joins the points.
        names: a text beside each point; () for none.
    """

    label: str
    colour: int
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    dashed: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    joined: bool = True
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        label: with the unit.
        log: whether it is logarithmic.
        least: the smallest range that it spans, so that noise looks like what it is.
        low, high: bounds; None for those of the data.
        most: what the axis does not go beyond for the sake of `least` and margins.
        ticks: (value, text) instead of round numbers.
    """

    label: str
    log: bool = False
    least: float = 0.0
    low: float | None = None
    high: float | None = None
    most: float | None = None
    ticks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class _Scale:
    """Values to coordinates."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(max(v, 1e-12)) for v in (value, low, high))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    levels: Sequence[tuple[str, float]] = (),
    diagonal: bool = False,
) -> str:
    """An SVG element.

    Args:
        title: said by screen readers.
        x, y: the axes.
        series: what is drawn.
        levels: (label, y) of horizontal lines to compare with.
        diagonal: whether to draw the line y = x.
    """
    xs = [p[0] for s in series for p in s.points]
    ys = [p[1] for s in series for p in s.points] + [value for _, value in levels]
    ys += [value for s in series for _, *ends in s.band for value in ends]
    across = _scale(x, xs, _LEFT, WIDTH - _RIGHT, pad=0.03)
    up = _scale(y, ys, HEIGHT - _BOTTOM, _TOP, pad=0.06)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">',
        *_axes(x, y, across, up),
    ]
    if diagonal:
        low, high = max(across.low, up.low), min(across.high, up.high)
        ends = (across(low), up(low), across(high), up(high))
        parts.append(_line(*ends, "level"))
    for label, value in levels:
        parts.append(_line(_LEFT, up(value), WIDTH - _RIGHT, up(value), "level"))
        parts.append(_text(WIDTH - _RIGHT, up(value) - 3, label, "end", "small"))
    parts += [_drawn(one, across, up) for one in series]
    return "".join([*parts, "</svg>"])


def _scale(axis: Axis, values: Sequence[float], start: float, end: float, pad: float) -> _Scale:
    finite = [v for v in values if math.isfinite(v) and (v > 0 or not axis.log)]
    low = min(finite, default=1.0 if axis.log else 0.0) if axis.low is None else axis.low
    high = max(finite, default=10.0 if axis.log else 1.0) if axis.high is None else axis.high
    if axis.ticks:
        low, high = min(low, axis.ticks[0][0]), max(high, axis.ticks[-1][0])
    if axis.log:
        high = max(high, low * 2)
        room = (high / low) ** pad
        return _Scale(low / room, high * room, start, end, True)
    missing = max(axis.least - (high - low), 0.0) or (1.0 if high == low else 0.0)
    if axis.low is None:
        low -= missing / 2 + pad * (high - low)
    if axis.high is None:
        high += missing / 2 + pad * (high - low)
    if axis.most is not None and high > axis.most:
        low, high = low - (high - axis.most), axis.most
    return _Scale(low, high, start, end, False)


def _axes(x: Axis, y: Axis, across: _Scale, up: _Scale) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    parts = []
    for value, text in y.ticks or _round_ticks(up):
        parts.append(_line(_LEFT, up(value), WIDTH - _RIGHT, up(value), "grid"))
        parts.append(_text(_LEFT - 5, up(value) + 4, text, "end"))
    for value, text in x.ticks or _round_ticks(across):
        parts.append(_line(across(value), bottom, across(value), bottom + 4, "axis"))
        parts.append(_text(across(value), bottom + 16, text, "middle"))
    parts.append(_line(_LEFT, bottom, WIDTH - _RIGHT, bottom, "axis"))
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, x.label, "middle"))
    middle = (bottom + _TOP) / 2
    turned = f'transform="rotate(-90 11 {middle:g})"'
    parts.append(f'<text x="11" y="{middle:g}" text-anchor="middle" {turned}>{escape(y.label)}')
    return [*parts, "</text>"]


def _round_ticks(scale: _Scale) -> list[tuple[float, str]]:
    """Some four to eight round numbers inside of a scale."""
    if scale.log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
        wide = scale.high / scale.low > 100
        found = [m * 10.0**power for power in powers for m in ((1,) if wide else (1, 2, 5))]
        found = [value for value in found if scale.low <= value <= scale.high]
        return [(value, f"{value:g}") for value in found]
    size = (scale.high - scale.low) / 5
    power = 10 ** math.floor(math.log10(size))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - size))
    first = math.ceil(scale.low / step - 1e-9)
    found = [n * step for n in range(first, math.floor(scale.high / step + 1e-9) + 1)]
    return [(value, f"{value:.10g}") for value in found]


def _drawn(one: Series, across: _Scale, up: _Scale) -> str:
    places = [(across(a), up(b), a, b) for a, b in one.points if math.isfinite(b)]
    attributes = "".join(f' {k}="{escape(v)}"' for k, v in one.attributes.items())
    parts = [f'<g class="c{one.colour}"{attributes}><title>{escape(one.label)}</title>']
    if one.band:
        ends = [(across(a), up(low)) for a, low, _ in one.band]
        ends += [(across(a), up(high)) for a, _, high in reversed(one.band)]
        parts.append(f'<polygon class="band" points="{_pairs(ends)}"/>')
    if one.joined and len(places) > 1:
        dashes = ' stroke-dasharray="5 3"' if one.dashed else ""
        line = _pairs([(a, b) for a, b, *_ in places])
        parts.append(f'<polyline points="{line}"{dashes}/>')
    # Long lines are marked here and there only.
    every = max(1, len(places) // 8)
    marked = places[::every] if one.joined else places
    parts += [mark(a, b, one.colour, hollow=one.dashed) for a, b, *_ in marked]
    for (a, b, *_), name in zip(places, one.names, strict=False):
        right = a > 0.75 * WIDTH
        parts.append(_text(a - 7 if right else a + 7, b + 4, name, "end" if right else "start"))
    return "".join([*parts, "</g>"])


def mark(x: float, y: float, colour: int, *, hollow: bool = False) -> str:
    """The mark of a colour: a shape of its own, so that it is told apart without colour."""
    shape = SHAPES[colour % len(SHAPES)]
    paths = {
        "square": "M-3,-3h6v6h-6z",
        "diamond": "M0,-4.5l4.5,4.5l-4.5,4.5l-4.5,-4.5z",
        "up": "M0,-4l4,7h-8z",
        "down": "M0,4l4,-7h-8z",
        "cross": "M-3.5,-3.5l7,7M-3.5,3.5l7,-7",
        "plus": "M-4,0h8M0,-4v8",
        "circle": "M-3.2,0a3.2,3.2 0 1,0 6.4,0a3.2,3.2 0 1,0 -6.4,0",
    }
    kind = "hollow" if hollow or shape in ("cross", "plus") else "filled"
    return f'<path class="{kind}" transform="translate({x:.1f},{y:.1f})" d="{paths[shape]}"/>'


def swatch(colour: int, *, dashed: bool = False) -> str:
    """A short piece of a series, for legends."""
    dashes = ' stroke-dasharray="5 3"' if dashed else ""
    return (
        f'<svg class="swatch" viewBox="0 0 30 12" aria-hidden="true"><g class="c{colour}">'
        f'<polyline points="1,6 29,6"{dashes}/>{mark(15, 6, colour, hollow=dashed)}</g></svg>'
    )


def _pairs(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in points)


def _line(a: float, b: float, c: float, d: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
