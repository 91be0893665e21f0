"""Charts: where points lie, and that axes do not magnify noise."""

import re

import pytest

from reex_jax.reporting.page.svg import HEIGHT, Axis, Series, chart


def ys(svg):
    (line,) = re.findall(r'<polyline points="([^"]+)"', svg)
    return [float(pair.split(",")[1]) for pair in line.split()]


def test_no_effect_looks_like_none():
    """A tenth of a point is a hundredth of the axis, whatever the data's own range."""
    points = [(0.0, 40.0), (1.0, 40.1), (2.0, 40.0)]
    flat = ys(chart("t", Axis("x"), Axis("y", least=10), [Series("a", 0, points)]))
    own = ys(chart("t", Axis("x"), Axis("y"), [Series("a", 0, points)]))
    assert max(flat) - min(flat) < 0.015 * HEIGHT
    assert max(own) - min(own) > 0.5 * HEIGHT


@pytest.mark.parametrize("log", [False, True])
def test_everything_lies_inside_and_names_are_escaped(log):
    series = [Series("<a>", 3, [(1.0, 0.01), (1000.0, 90.0)], [(1.0, 0.005, 95.0)])]
    svg = chart("<t>", Axis("x", log=log), Axis("y", log=log), series, levels=[("<l>", 50.0)])
    assert "<a>" not in svg and "<t>" not in svg and "<l>" not in svg
    assert all(0 <= y <= HEIGHT for y in ys(svg))
    assert "nan" not in svg


def test_one_point_and_equal_values():
    for points in ([(1.0, 5.0)], [(1.0, 5.0), (2.0, 5.0)]):
        for least in (0.0, 10.0):
            svg = chart("t", Axis("x"), Axis("y", least=least), [Series("a", 1, points)])
            assert "nan" not in svg and "inf" not in svg
