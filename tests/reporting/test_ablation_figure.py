"""The plot of an ablation: its points, bars and lines are the findings; no text covers another."""

import itertools
import math
import subprocess
import sys

import pytest

from reex_jax.reporting.ablation_figure import draw_ablation
from reex_jax.reporting.ablation_report import REFERENCES, Finding, Level

DIRECTIONS = ("image_to_text", "text_to_image")


def finding(direction, group, label, recall, sd=0.5, default=False):
    level = Level(direction, group, label, label, {}, default)
    return Finding(level, recall, sd, 0.0, math.nan, seeds=3, corruptions=4, queries=9)


def findings(sd=0.5):
    found = []
    for shift, direction in enumerate(DIRECTIONS):
        found += [
            finding(direction, REFERENCES, "none", 20 + shift, sd),
            finding(direction, REFERENCES, "reex", 26 + shift, sd, default=True),
            finding(direction, "k", "1", 23 + shift, sd),
            finding(direction, "k", "20", 26 + shift, sd, default=True),
            finding(direction, "k", "off", 22 + shift, 2 * sd),
            finding(direction, "split", "confident only", 25 + shift, sd),
            finding(direction, "split", "ambiguous only", 24 + shift, sd),
        ]
    return found


def points(axes):
    """(label of the level, x, half length of the bar) of every point, by mark."""
    # Panels on the right do not show these names, but have them.
    names = axes.yaxis.get_major_formatter().format_ticks(axes.get_yticks())
    found = {}
    for container in axes.containers:
        line, _, bars = container.lines
        segments = bars[0].get_segments()
        for x, y, segment in zip(line.get_xdata(), line.get_ydata(), segments, strict=True):
            half = (segment[1][0] - segment[0][0]) / 2
            found.setdefault(container.get_label(), []).append((names[y], x, round(half, 9)))
    return found


def references(axes):
    """Vertical lines by label: a line from the bottom to the top at one x."""
    return {
        line.get_label(): line.get_xdata()[0]
        for line in axes.lines
        if list(line.get_ydata()) == [0, 1] and line.get_xdata()[0] == line.get_xdata()[1]
    }


def test_points_and_bars_are_the_findings():
    figure = draw_ablation(findings(), "reex")
    assert len(figure.axes) == 4
    k, k_text, split, _ = figure.axes
    found = points(k)
    assert found["one setting changed"] == [("1", 23, 0.5), ("off", 22, 1.0)]
    assert found["default setting"] == [("20", 26, 0.5)]
    assert points(k_text)["default setting"] == [("20", 27, 0.5)]
    expected = [("confident only", 25, 0.5), ("ambiguous only", 24, 0.5)]
    assert points(split) == {"one setting changed": expected}
    top, *_, bottom = (text.get_position()[1] for text in k.get_yticklabels())
    low, high = k.get_ylim()
    assert (low > high) and top < bottom  # the first level is on top


def test_the_unadapted_model_and_the_default_are_marked_in_every_panel():
    figure = draw_ablation(findings(), "reex")
    for axes, shift in zip(figure.axes, (0, 1, 0, 1), strict=True):
        assert references(axes) == {"none": 20 + shift, "reex": 26 + shift}
    (legend,) = figure.legends
    said = {text.get_text() for text in legend.get_texts()}
    assert said == {"none", "reex", "one setting changed", "default setting"}
    without = [f for f in findings() if f.level.name != "none"]
    assert references(draw_ablation(without, "reex").axes[0]) == {"reex": 26}


def test_panels_say_what_they_show():
    figure = draw_ablation(findings(), "reex")
    assert [axes.get_ylabel() for axes in figure.axes] == ["k", "", "split", ""]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Image queries, caption gallery", "Caption queries, image gallery", "", ""]
    assert figure.axes[2].get_xlabel() == "R@1 (%), mean of 4 corruptions ± sd over 3 seeds"


def test_one_seed_has_points_without_bars():
    found = points(draw_ablation(findings(sd=math.nan), "reex").axes[0])
    assert found["one setting changed"] == [("1", 23, 0.0), ("off", 22, 0.0)]


def long_findings():
    """As many levels, and as long labels and numbers, as any plot of ours has."""
    return [
        finding(direction, group, label, recall)
        for direction in DIRECTIONS
        for group, count in (("k", 8), ("candidates", 8), ("split", 1))
        for label, recall in [
            (f"gallery, all outside top {group}{n}", 10 + n / 700) for n in range(count)
        ]
    ]


def shown(figure):
    """Every text that is drawn, and where."""
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            # Some ticks beyond the panel's ends exist, but are not drawn.
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label1 for tick in ticks]
    return [
        (t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text()
    ]


@pytest.mark.parametrize("found", [findings(), long_findings()], ids=["short", "long"])
def test_no_text_covers_another_or_leaves_the_picture(found):
    figure = draw_ablation(found, "reex")
    figure.canvas.draw()
    boxes = shown(figure)
    assert len(boxes) > 20
    for (one, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), f"{one!r} covers {other!r}"
    inside = figure.bbox
    for text, box in boxes:
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1, text


def test_a_picture_is_written(tmp_path):
    draw_ablation(findings(), "reex").savefig(tmp_path / "plot.png", dpi=50)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n")


SCRIPT = """
import runpy, sys
import reex_jax.reporting.ablation_figure as ablation_figure
assert "matplotlib" not in sys.modules
findings = runpy.run_path(sys.argv[1])["findings"]()
import matplotlib
before = dict(matplotlib.rcParams.copy())
ablation_figure.draw_ablation(findings, "reex").savefig(sys.argv[2])
assert dict(matplotlib.rcParams.copy()) == before
assert "matplotlib.pyplot" not in sys.modules
"""


def test_matplotlib_is_loaded_late_and_left_as_it_is(tmp_path):
    """No window system is chosen, no figure is registered, no default is changed."""
    command = [sys.executable, "-c", SCRIPT, __file__, str(tmp_path / "plot.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_where_nothing_happens_the_axis_shows_it():
    """Ten points at least, though all values lie within one."""
    found = [
        finding("text_to_image", REFERENCES, "none", 22.9, 0.1),
        finding("text_to_image", "k", "1", 22.6, 0.1),
        finding("text_to_image", "k", "20", 22.8, 0.1, default=True),
    ]
    low, high = draw_ablation(found, "reex").axes[0].get_xlim()
    assert high - low == pytest.approx(10)
    assert low < 22.6 - 4 and high > 22.9 + 4
