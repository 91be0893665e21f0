"""Methods side by side: cells and means worked out by hand, and a bootstrap as a plain loop."""

import re

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.comparison import comparison_table, significance
from reex_jax.reporting.run_folder import RunFolder


def row(method, corruption, value, seed=0, severity=5, direction="image_to_text"):
    return {
        "method": method,
        "direction": direction,
        "corruption": corruption,
        "severity": 0 if corruption == "clean" else severity,
        "seed": seed,
        "recall@1": value,
    }


def lines_of(table):
    """Each line's cells; the title and the line under the head are left out."""
    lines = [line for line in table.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_one_seed():
    rows = [
        *(row("none", *cell) for cell in (("clean", 50), ("fog", 20), ("jpeg_compression", 30))),
        *(row("tent", *cell) for cell in (("clean", 49), ("fog", 24), ("jpeg_compression", 31))),
    ]
    table = comparison_table(rows)
    assert table.startswith("Image queries, caption gallery (image_to_text), R@1\n\n| method ")
    assert lines_of(table) == [
        ["method", "clean", "fog", "jpeg", "mean of corruptions"],
        ["none", "50.0", "20.0", "30.0", "25.0"],
        ["tent", "49.0", "24.0", "31.0", "27.5"],
    ]


def test_several_seeds():
    """Of tent's seeds the means are 15 and 17: 16 ± 1.41."""
    rows = [
        *(row("none", "fog", 10, seed) for seed in (0, 1)),
        *(row("none", "snow", 20, seed) for seed in (0, 1)),
        *(row("tent", "fog", value, seed) for seed, value in enumerate((10, 14))),
        *(row("tent", "snow", 20, seed) for seed in (0, 1)),
    ]
    assert lines_of(comparison_table(rows))[1:] == [
        ["none", "10.0±0.0", "20.0±0.0", "15.0±0.0"],
        ["tent", "12.0±2.8", "20.0±0.0", "16.0±1.4"],
    ]


def test_a_method_without_a_result_has_no_mean():
    rows = [row("none", "fog", 20), row("none", "snow", 30), row("tent", "fog", 24)]
    assert lines_of(comparison_table(rows))[2] == ["tent", "24.0", "-", "-"]
    # Nor has one with fewer corruptions in one seed than in the other.
    rows += [row("tent", "snow", 30), row("tent", "fog", 20, seed=1)]
    assert lines_of(comparison_table(rows))[2] == ["tent", "22.0±2.8", "30.0", "-"]
    # Nor one whose corruptions have as many seeds, but not the same.
    rows = [row("none", "fog", 20, seed=0), row("none", "snow", 30, seed=1)]
    assert lines_of(comparison_table(rows))[1] == ["none", "20.0", "30.0", "-"]
    assert lines_of(comparison_table([row("none", "clean", 20)]))[1] == ["none", "20.0", "-"]


def test_a_row_without_the_metric_is_a_dash():
    """`read_rows` refuses such rows; those that come from elsewhere still print."""
    rows = [row(name, kind, 20) for name in ("none", "tent") for kind in ("fog", "snow")]
    del rows[3]["recall@1"]
    assert lines_of(comparison_table(rows))[1:] == [
        ["none", "20.0", "20.0", "20.0"],
        ["tent", "20.0", "-", "-"],
    ]


def test_severities_stand_in_the_head_where_there_are_several():
    rows = [row("none", "clean", 50), *(row("none", "fog", 30 - s, severity=s) for s in (1, 5))]
    head, line = lines_of(comparison_table(rows))
    assert head == ["method", "clean", "fog 1", "fog 5", "mean of corruptions"]
    assert line == ["none", "50.0", "29.0", "25.0", "27.0"]


def test_each_direction_has_its_table():
    rows = [row("none", "fog", 20), row("none", "swap", 10, direction="text_to_image")]
    first, second = comparison_table(rows).split("\n\nCaption queries, image gallery")
    assert lines_of(first)[0][1] == "fog" and lines_of(second)[0][1] == "swap"


COUNT = 60
STREAMS = [("fog", 0), ("fog", 1), ("snow", 0), ("snow", 1)]


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def with_ranks(folder, method, chance, seed, streams=STREAMS):
    """Rows whose ranks are 0 with this chance."""
    rng = np.random.default_rng(seed)
    rows = []
    for corruption, stream_seed in streams:
        ranks = (rng.random(COUNT) >= chance).astype(np.int32) * rng.integers(1, 9, COUNT)
        rows.append(row(method, corruption, 100 * np.mean(ranks == 0), stream_seed))
        np.save(folder.ranks(rows[-1]), ranks.astype(np.int32))
    return rows


def hits_of(folder, rows):
    return np.mean([np.load(folder.ranks(r)) == 0 for r in rows], axis=0)


def naive_p(first, second, resamples=4000):
    """Queries drawn one by one; how often the shifted difference is as large as the observed."""
    rng = np.random.default_rng(7)
    differences = first - second
    observed = differences.mean()
    extreme = 0
    for _ in range(resamples):
        drawn = differences[rng.integers(0, COUNT, COUNT)]
        extreme += abs(drawn.mean() - observed) >= abs(observed)
    return extreme / resamples


def test_differences_are_tested_by_query(folder):
    """A query's hits are averaged over corruptions and seeds: four ranks are one unit."""
    rows = {
        name: with_ranks(folder, name, chance, seed)
        for seed, (name, chance) in enumerate((("none", 0.45), ("tent", 0.52), ("reex", 0.6)))
    }
    clean = row("reex", "clean", 0.0)  # does not count; it has no ranks either
    text = significance(folder, [*rows["none"], *rows["tent"], *rows["reex"], clean])
    found = re.findall(
        r"^image_to_text: reex - (\w+) = \+(\d+\.\d\d) points of mean R@1, p = (\d\.\d{4})$",
        text,
        re.MULTILINE,
    )
    assert [name for name, _, _ in found] == ["none", "tent"] and text.count("\n") == 1
    best = hits_of(folder, rows["reex"])
    for name, gain, p in found:
        other = hits_of(folder, rows[name])
        mean = np.mean([r["recall@1"] for r in rows["reex"]])
        assert float(gain) == pytest.approx(
            mean - np.mean([r["recall@1"] for r in rows[name]]), abs=0.006
        )
        assert float(p) == pytest.approx(naive_p(best, other), abs=0.02)
    assert float(found[0][2]) < 0.05 < float(found[1][2])  # these data show both outcomes


def test_equal_methods_do_not_differ(folder):
    first, second = (with_ranks(folder, name, 0.5, 3) for name in ("tent", "tcr"))
    assert significance(folder, [*first, *second]) == (
        "image_to_text: tent - tcr = +0.00 points of mean R@1, p = 1.0000"
    )


def test_what_cannot_be_compared_is_left_out(folder):
    whole = with_ranks(folder, "none", 0.5, 0)
    assert significance(folder, whole) == ""
    part = with_ranks(folder, "tent", 0.5, 1, STREAMS[:3])
    assert significance(folder, [*whole, *part]) == ""
    assert significance(folder, [row("none", "clean", 50), row("tent", "clean", 50)]) == ""
    other = with_ranks(folder, "sar", 0.9, 1)
    assert "tent" not in significance(folder, [*whole, *part, *other])
    assert "sar - none" in significance(folder, [*whole, *part, *other])


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_ranks_that_are_lost_are_named(folder, content):
    rows = [*with_ranks(folder, "none", 0.5, 0), *with_ranks(folder, "tent", 0.5, 1)]
    file = folder.ranks(rows[5])
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(
        UserError, match=r"tent-.*-fog-5-1-.*\.npy: the ranks .*remove its line from"
    ):
        significance(folder, rows)
