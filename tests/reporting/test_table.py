"""Tables: means and spreads worked out by hand."""

import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.table import comparison_table, method_table, protocol_line


def row(corruption: str, seed: int, value: float, direction: str = "image_to_text") -> dict:
    return {
        "method": "none",
        "direction": direction,
        "corruption": corruption,
        "severity": 0 if corruption == "clean" else 5,
        "seed": seed,
        "num_queries": 10,
        "gallery_size": 50,
        "recall@1": value,
        "recall@1_low": value - 2,
        "recall@1_high": value + 2,
        "recall@5": 60.0,
        "recall@10": 70.0,
        "mAP": 40.0,
        "median_rank": 3.0,
    }


def cells(table: str, label: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_one_seed_shows_the_interval():
    table = method_table([row("clean", 0, 50), row("contrast", 0, 20), row("fog", 0, 30)])
    assert cells(table, "clean")[1:] == ["50.0 [48.0, 52.0]", "60.0", "70.0", "40.0", "3.0"]
    assert cells(table, "mean of corruptions")[1] == "25.0"


def test_several_seeds_show_the_spread_of_the_mean():
    rows = [row(c, s, v) for c, s, v in [("a", 0, 10), ("b", 0, 20), ("a", 1, 14), ("b", 1, 20)]]
    table = method_table(rows)
    assert cells(table, "a 5")[1] == "12.0 ± 2.8"
    # Means 15 and 17 of the two seeds.
    assert cells(table, "mean of corruptions")[1] == "16.0 ± 1.4"


def test_protocol_is_stated():
    config = {
        "name": "scenes_c",
        "method": "none",
        "corruptions": {"severities": (5,)},
        "seeds": (0, 1),
        "data": {"preprocessing": "clip"},
    }
    line = protocol_line(config, [row("clean", 0, 50), row("fog", 0, 20), row("fog", 1, 20)])
    for part in ("not adapted", "10 queries", "gallery of 50", "severities 5", "seeds 0, 1"):
        assert part in line
    # What ran counts, not what the configuration lists.
    assert "seeds 0;" in protocol_line(config, [row("fog", 0, 20)])


def test_methods_stand_side_by_side():
    tent = {"method": "tent"}
    rows = [row("clean", 0, 50), row("fog", 0, 20), row("jpeg", 0, 30), row("fog", 0, 24) | tent]
    table = comparison_table(rows)
    assert cells(table, "corruption") == ["corruption", "none", "tent"]
    assert cells(table, "clean") == ["clean", "50.0", "-"]
    assert cells(table, "fog 5") == ["fog 5", "20.0", "24.0"]
    # tent lacks jpeg: its mean would not compare.
    assert cells(table, "mean") == ["mean of corruptions", "25.0", "-"]
    nine = [row("fog", s, 99.9) | {"method": f"method{i}"} for i in range(6) for s in (0, 1)]
    assert max(map(len, comparison_table(nine).splitlines())) <= 110


def test_one_table_does_not_mix_methods():
    with pytest.raises(UserError, match=r"several methods \(none, tent\).*comparison_table"):
        method_table([row("fog", 0, 20), row("fog", 0, 24) | {"method": "tent"}])
