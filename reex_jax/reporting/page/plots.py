"""The plots of the report; each takes values and gives an SVG element, or "" without data."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reex_jax.reporting.benchmark_table import NONE, base_method
from reex_jax.reporting.page.gathered import Gathered, Sum
from reex_jax.reporting.page.svg import Axis, Series, chart
from reex_jax.reporting.rows import Row, by_ranking
from reex_jax.reporting.table import means_by_seed, values_of
from reex_jax.settings.choices import CLEAN

LEAST_POINTS = 10.0
"""The smallest range of an axis of recall: where nothing happens, nothing seems to."""


@dataclass(frozen=True)
class Colours:
    """Which colour and mark stands for a method, the same on the whole page.

    Attributes:
        methods: without notes on repair, in the order of the tables.
    """

    methods: Sequence[str]

    def of(self, method: str) -> int:
        """Its number."""
        base = base_method(method)
        return self.methods.index(base) if base in self.methods else len(self.methods)

    def series(
        self, method: str, ranking: str, points: Sequence[tuple[float, float]], **more: object
    ) -> Series:
        """A line of a method: plain rankings are dashed, those of repaired queries wide."""
        attributes = {"data-method": method, "data-ranking": ranking}
        if base_method(method) != method:
            attributes["data-repair"] = "yes"
        label = method if ranking == "plain" else f"{method}, {ranking}"
        return Series(
            label,
            self.of(method),
            points,
            (),
            ranking == "plain",
            attributes,
            **more,  # type: ignore[arg-type]
        )


def along_the_stream(found: Gathered, direction: str, column: str, colours: Colours) -> str:
    """Recall of each batch: early help, and later decay."""
    series = [
        colours.series(
            method,
            ranking,
            [(e, 100 * h / a) for e, h, a in zip(s.ends, s.hits, s.asked, strict=True) if a],
        )
        for method, ranking, s in found.of(direction, column)
    ]
    y = Axis("R@1 of the batch (%)", least=LEAST_POINTS, most=101.0)
    return _drawn(f"Recall along the stream, {column}", Axis("queries so far"), y, series)


def clean_along_the_stream(found: Gathered, direction: str, column: str, colours: Colours) -> str:
    """Recall of clean queries with the parameters of that moment."""
    series = [
        colours.series(
            method, ranking, [(at, float(np.mean(v))) for at, v in sorted(s.clean.items())]
        )
        for method, ranking, s in found.of(direction, column)
        if s.clean
    ]
    y = Axis("R@1 of clean queries (%)", least=LEAST_POINTS, most=101.0)
    return _drawn(f"Clean queries on the way, {column}", Axis("queries so far"), y, series)


def distance(found: Gathered, direction: str, column: str, colours: Colours) -> str:
    """How far the parameters move from the source's."""
    series = [
        colours.series(
            method,
            "plain",
            [(e, 100 * d / s.streams) for e, d in zip(s.ends, s.distance, strict=False)],
        )
        for method, ranking, s in found.of(direction, column)
        if ranking == "plain" and s.distance.any()
    ]
    series = [Series(s.label, s.colour, s.points, (), False, _method_only(s)) for s in series]
    y = Axis("distance from the source (%)", low=0.0)
    return _drawn(f"Distance from the source, {column}", Axis("queries so far"), y, series)


def _method_only(series: Series) -> dict[str, str]:
    return {k: v for k, v in series.attributes.items() if k != "data-ranking"}


def hubs(found: Gathered, direction: str, column: str, colours: Colours) -> str:
    """How often each item is among the first ten, from the most retrieved one on."""
    series = []
    for method, ranking, s in found.of(direction, column):
        if not len(s.hubs):
            continue
        places = np.unique(np.geomspace(1, len(s.hubs), 36).round().astype(int))
        counts = s.hubs / s.streams
        points = [(float(p), float(counts[p - 1])) for p in places if counts[p - 1] > 0]
        series.append(_always(colours.series(method, ranking, points)))
    x = Axis("gallery items, the most retrieved first", log=True)
    y = Axis("times among the first ten", log=True)
    return _drawn(f"How often each item is retrieved, {column}", x, y, series)


def _always(series: Series) -> Series:
    """The source model's own ranking stays, whatever ranking is chosen: others are read by it."""
    return replace(series, attributes=_method_only(series)) if series.label == NONE else series


def reliability(found: Gathered, direction: str, column: str, colours: Colours) -> str:
    """Share of right answers at each confidence; on the diagonal the two agree."""
    series = [
        colours.series(
            method, ranking, [(100 * c / n, 100 * h / n) for n, c, h in s.bins if n >= _FEWEST]
        )
        for method, ranking, s in found.of(direction, column)
    ]
    x = Axis("confidence (%)", low=0.0, high=100.0)
    y = Axis("right at the first place (%)", low=0.0, high=100.0)
    title = f"Reliability of the confidence, {column}"
    return _drawn(title, x, y, series, diagonal=True)


_FEWEST = 10
"""Queries in a bin from which its share is shown."""


def by_severity(rows: Sequence[Row], direction: str, colours: Colours) -> str:
    """Mean recall over the kinds that have every severity; "" with a single one."""
    own = [r for r in rows if r["direction"] == direction and r["corruption"] != CLEAN]
    levels = sorted({row["severity"] for row in own})
    kinds = {row["corruption"] for row in own}
    kinds = {k for k in kinds if {r["severity"] for r in own if r["corruption"] == k} == {*levels}}
    if len(levels) < 2 or not kinds:
        return ""
    series = []
    for method, ranking, mine in _by_line(own):
        points = []
        for level in levels:
            here = [r for r in mine if r["severity"] == level and r["corruption"] in kinds]
            if here:
                points.append((float(level), _recall(here)))
        series.append(colours.series(method, ranking, points))
    x = Axis("severity", ticks=[(float(level), str(level)) for level in levels])
    y = Axis("R@1, mean of corruptions (%)", least=LEAST_POINTS, most=101.0)
    return _drawn("Recall by severity", x, y, series)


def cost_against_gain(rows: Sequence[Row], direction: str, colours: Colours) -> str:
    """What a method costs, and what it gains over plain `none`."""
    own = [r for r in rows if r["direction"] == direction and r["corruption"] != CLEAN]
    base = [r for r in own if r["method"] == NONE]
    if not base:
        return ""
    zero = _recall(base)
    series = []
    for method, ranking, mine in _by_line(own):
        rates = [rate for rate in values_of(mine, "queries_per_s") if rate > 0]
        if rates and not math.isnan(_recall(mine) - zero):
            gain = _recall(mine) - zero
            point = (1000 / float(np.median(rates)), gain)
            own_mark = colours.series(method, ranking, [point], joined=False, names=[method])
            series.append(_always(own_mark))
    x = Axis("milliseconds for a query (median over streams)", log=True)
    y = Axis("R@1 above plain none (points)", least=LEAST_POINTS)
    return _drawn("Cost against gain", x, y, series)


def _recall(rows: Sequence[Row]) -> float:
    """Mean over corruptions and seeds; not a number where a stream of them is missing."""
    means = means_by_seed(rows, "recall@1")
    return float(np.mean(means)) if means else math.nan


def _by_line(rows: Sequence[Row]) -> Iterable[tuple[str, str, list[Row]]]:
    """(method, ranking, its rows) in the order of the rows."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in by_ranking(rows):
        key = str(row.get("method_alone", row["method"])), str(row.get("ranking", "plain"))
        found.setdefault(key, []).append(row)
    return [(*key, own) for key, own in found.items()]


@dataclass(frozen=True)
class Level:
    """One value of what an ablation varies.

    Attributes:
        group, label: what is varied, and its value.
        method: the method whose rows are this value's.
        is_default: whether it is the default's value.
    """

    group: str
    label: str
    method: str
    is_default: bool


def ablation(rows: Sequence[Row], direction: str, levels: Sequence[Level]) -> str:
    """Mean recall of one group's values, with the standard deviation over seeds as a band."""
    own = [r for r in rows if r["direction"] == direction and r["corruption"] != CLEAN]
    found: dict[str, list[tuple[float, float, float]]] = {"plain": [], "calibrated": []}
    for place, level in enumerate(levels):
        for method, ranking, mine in _by_line(own):
            if method == level.method:
                means = means_by_seed(mine, "recall@1")
                sd = float(np.std(means, ddof=1)) if len(means) > 1 else math.nan
                if means:
                    found[ranking].append((float(place), float(np.mean(means)), sd))
    series = []
    for colour, (ranking, points) in enumerate(found.items(), start=1):
        band = [(a, b - sd, b + sd) for a, b, sd in points if not math.isnan(sd)]
        line = [(a, b) for a, b, _ in points]
        attributes = {"data-ranking": ranking}
        series.append(Series(ranking, colour, line, band, ranking == "plain", attributes))
    base = [r for r in own if r["method"] == NONE]
    references = [] if math.isnan(_recall(base)) else [("none", _recall(base))]
    ticks = [
        (float(n), f"{level.label}*" if level.is_default else level.label)
        for n, level in enumerate(levels)
    ]
    x = Axis(f"{levels[0].group} (* default)", ticks=_thinned(ticks))
    y = Axis("R@1, mean of corruptions (%)", least=LEAST_POINTS, most=101.0)
    return _drawn(f"Ablation of {levels[0].group}", x, y, series, references)


def _thinned(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Texts that are too long to stand beside each other are cut."""
    room = max(3, 62 // max(1, len(ticks)))
    return [(at, text if len(text) <= room else f"{text[: room - 1]}…") for at, text in ticks]


def _drawn(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    levels: Sequence[tuple[str, float]] = (),
    diagonal: bool = False,
) -> str:
    drawn = [one for one in series if one.points]
    return chart(title, x, y, drawn, levels, diagonal) if drawn else ""


def hub_numbers(found: Sum) -> tuple[float, float]:
    """(share of all first tens that the 1 % most retrieved items take, share of items never
    retrieved), in percent."""
    top = max(1, round(len(found.hubs) / 100))
    total = max(found.hubs.sum(), 1)
    return (
        100 * float(found.hubs[:top].sum()) / float(total),
        100 * found.never / max(1, len(found.hubs) * found.streams),
    )
