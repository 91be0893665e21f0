"""What an ablation found: means, spreads, differences and p-values worked out by hand."""

import csv
import io
import itertools
import json

import numpy as np
import pytest

from reex_jax.reporting.ablation_report import (
    CSV_COLUMNS,
    REFERENCES,
    Level,
    ablation_csv,
    ablation_tables,
    find,
)
from reex_jax.reporting.run_folder import RunFolder

# (method, corruption, seed) -> which of four queries found their answer.
HITS = {
    ("none", "fog", 0): [1, 0, 0, 0],
    ("none", "snow", 0): [1, 0, 0, 0],
    ("none", "fog", 1): [1, 0, 0, 0],
    ("none", "snow", 1): [1, 0, 0, 0],
    ("reex", "fog", 0): [1, 1, 0, 0],
    ("reex", "snow", 0): [1, 0, 0, 0],
    ("reex", "fog", 1): [1, 1, 1, 0],
    ("reex", "snow", 1): [1, 0, 0, 0],
    ("k=1", "fog", 0): [1, 1, 1, 1],
    ("k=1", "snow", 0): [1, 0, 1, 0],
    ("k=1", "fog", 1): [1, 1, 1, 0],
    ("k=1", "snow", 1): [0, 0, 0, 1],
    # Clean queries count nowhere.
    ("reex", "clean", 0): [1, 1, 1, 1],
}


def write(path, hits, direction="image_to_text"):
    """A results folder with the ranks of every stream, and its rows."""
    folder = RunFolder(path)
    rows = []
    for (method, corruption, seed), found in hits.items():
        severity = 0 if corruption == "clean" else 5
        row = {
            "method": method,
            "direction": direction,
            "corruption": corruption,
            "severity": severity,
            "seed": seed,
            "recall@1": 100 * np.mean(found),
        }
        np.save(folder.ranks(row), np.where(found, 0, 3))
        rows.append(row)
    return folder, rows


def levels(direction="image_to_text"):
    return [
        Level(direction, REFERENCES, "none", "none", {}, False),
        Level(direction, REFERENCES, "reex", "reex", {}, True),
        Level(direction, "k", "1", "k=1", {"k": 1, "m": 5}, False),
        Level(direction, "k", "20", "k=20", {"k": 20}, True),
    ]


@pytest.fixture
def findings(tmp_path):
    return find(*write(tmp_path, HITS), levels(), "reex")


def exact_p(differences):
    """The bootstrap's p over all equally likely resamples of the queries."""
    mean = np.mean(differences)
    resampled = itertools.product(differences, repeat=len(differences))
    return np.mean([abs(np.mean(r) - mean) >= abs(mean) - 1e-12 for r in resampled])


def test_means_spreads_and_differences(findings):
    none, reex, one, twenty = findings
    assert (none.recall, none.sd, none.difference) == (25.0, 0.0, -18.75)
    # Seeds: (50 + 25) / 2 and (75 + 25) / 2; then 75 and 50.
    assert (reex.recall, reex.sd) == pytest.approx((43.75, 12.5 / 2**0.5))
    assert (one.recall, one.sd) == pytest.approx((62.5, 25 / 2**0.5))
    assert one.difference == pytest.approx(18.75)
    assert one.p == pytest.approx(exact_p([-0.25, 0.0, 0.5, 0.5]), abs=0.02)
    assert none.p == pytest.approx(exact_p([0.0, -0.5, -0.25, 0.0]), abs=0.02)
    assert (reex.difference, twenty.difference, twenty.recall) == (0.0, 0.0, reex.recall)
    assert np.isnan([reex.p, twenty.p]).all()
    for found in findings:
        assert (found.seeds, found.corruptions, found.queries) == (2, 2, 4)


def test_the_csv_has_a_line_for_each_finding(findings):
    lines = list(csv.DictReader(io.StringIO(ablation_csv(findings))))
    assert tuple(lines[0]) == CSV_COLUMNS and len(lines) == 4
    p = lines[2].pop("p")
    assert float(p) == pytest.approx(findings[2].p, abs=5e-5)
    assert lines[2] == {
        "group": "k",
        "label": "1",
        "variant": "k=1",
        "direction": "image_to_text",
        "recall@1": "62.5000",
        "sd": "17.6777",
        "difference": "18.7500",
        "calibrated": "",
        "seeds": "2",
        "corruptions": "2",
        "queries": "4",
        "default": "no",
        "changes": '{"k": 1, "m": 5}',
    }
    assert json.loads(lines[3]["changes"]) == {"k": 20}
    assert (lines[3]["variant"], lines[3]["default"], lines[3]["p"]) == ("k=20", "yes", "")
    assert (lines[3]["recall@1"], lines[3]["difference"]) == ("43.7500", "0.0000")


def test_one_seed_has_no_spread(tmp_path):
    one = {key: hits for key, hits in HITS.items() if key[2] == 0}
    findings = find(*write(tmp_path, one), levels(), "reex")
    assert [found.seeds for found in findings] == [1] * 4
    assert {line["sd"] for line in csv.DictReader(io.StringIO(ablation_csv(findings)))} == {""}
    tables = ablation_tables(findings)
    assert "±" not in tables and "of one seed" in tables


def cells(tables, label):
    line = next(line for line in tables.splitlines() if line.startswith(f"| {label} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_tables_show_both_directions_side_by_side(tmp_path):
    """The second direction: reex 25, k=1 0; there k = 20 is a change of its own."""
    folder, rows = write(tmp_path, HITS)
    text = {("reex", "swap", 0): [1, 0, 0, 0], ("k=1", "swap", 0): [0, 0, 0, 0]}
    text |= {("none", "swap", 0): [0, 0, 0, 0], ("k=20", "swap", 0): [1, 1, 0, 0]}
    rows += write(tmp_path, text, "text_to_image")[1]
    *others, twenty = levels("text_to_image")
    changed = Level(twenty.direction, "k", "20", "k=20", {"k": 20}, False)
    tables = ablation_tables(find(folder, rows, [*levels(), *others, changed], "reex"))
    assert tables.count("\n|-") == 2  # a table for the methods and one for k
    heads = ["image_to_text R@1", "difference", "p", "text_to_image R@1", "difference", "p"]
    assert cells(tables, "method") == ["method", *heads]
    assert cells(tables, "k") == ["k", *heads]
    reex = ["43.75 ± 8.84", "", "", "25.00", "", ""]
    assert cells(tables, "reex (default)")[1:] == reex
    one = cells(tables, "1")
    assert (one[1], one[2], one[4], one[5]) == ("62.50 ± 17.68", "+18.75", "0.00", "-25.00")
    twenty_cells = cells(tables, "20 (default: image_to_text)")
    assert twenty_cells[1:6] == ["43.75 ± 8.84", "", "", "50.00", "+25.00"]
    assert float(twenty_cells[6]) == pytest.approx(exact_p([0, 1, 0, 0]), abs=0.02)
    for said in ("2 seeds", "points to the default", "not corrected"):
        assert said in tables
