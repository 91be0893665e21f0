"""Tables: means and spreads worked out by hand."""

import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.table import method_table, protocol_line, skipped_lines


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


def test_a_mean_needs_every_corruption_in_every_seed():
    rows = [row(c, s, v) for c, s, v in [("a", 0, 10), ("b", 0, 20), ("a", 1, 14)]]
    assert cells(method_table(rows), "mean of corruptions")[1:] == ["-"] * 5
    rows = [row("a", 0, 10), row("b", 1, 20)]  # as many of each seed, and none to compare
    assert cells(method_table(rows), "mean of corruptions")[1] == "-"


def without(found: dict, *names: str) -> dict:
    return {name: value for name, value in found.items() if name not in names}


def test_rows_of_an_earlier_version_show_dashes_for_what_they_lack():
    old = [without(row("fog", s, v), "mAP", "recall@1_low") for s, v in ((0, 10), (1, 14))]
    table = method_table(old)
    assert cells(table, "fog 5")[1:] == ["12.0 ± 2.8", "60.0 ± 0.0", "70.0 ± 0.0", "-", "3.0 ± 0.0"]
    assert cells(table, "mean of corruptions")[1:] == cells(table, "fog 5")[1:]
    table = method_table([without(row("fog", 0, 10), "recall@1_low", "median_rank")])
    assert cells(table, "fog 5")[1:] == ["10.0", "60.0", "70.0", "40.0", "-"]
    table = method_table([old[0], row("snow", 0, 30)])  # a later version has measured the second
    assert cells(table, "fog 5")[4] == "-" and cells(table, "snow 5")[4] == "40.0"
    # Their mean would be that of the second alone, beside means of both.
    assert cells(table, "mean of corruptions")[1:] == ["20.0", "60.0", "70.0", "-", "3.0"]
    # A metric without a value is none.
    assert cells(method_table([row("fog", 0, 10) | {"mAP": None}]), "fog 5")[4] == "-"
    oldest = without(row("fog", 0, 10), "num_queries", "gallery_size", "skipped")
    assert "image_to_text: ? queries, gallery of ?;" in protocol_line(CONFIG, [oldest])
    assert skipped_lines([oldest]) == ""


ADAPT = {
    "steps": 3,
    "weight_decay": 1e-4,
    "image_parameters": "layer_norms",
    "text_parameters": "block_layer_norms",
    "score": "last_forward",
    "stream": "continual",
    "devices": 1,
}
CONFIG = {
    "name": "scenes_c",
    "method": ("none",),
    "corruptions": {"severities": (5,)},
    "seeds": (0, 1),
    "data": {"preprocessing": "clip"},
    "batch_size": 64,
    "adapt": ADAPT,
    "variants": (),
}


def test_protocol_is_stated():
    line = protocol_line(CONFIG, [row("clean", 0, 50), row("fog", 0, 20), row("fog", 1, 20)])
    assert (
        "scenes_c, none; image_to_text: 10 queries, gallery of 50; not adapted, batches of 64; "
        "severities 5; seeds 0, 1; preprocessing clip;"
    ) in line
    # What ran counts, not what the configuration lists.
    assert "seeds 0;" in protocol_line(CONFIG, [row("fog", 0, 20)])
    assert "severities none;" in protocol_line(CONFIG, [row("clean", 0, 20)])


def test_protocol_says_how_methods_adapt():
    variants = (
        {"name": "k5", "method": "reex", "changes": {"k": 5, "score": "after"}},
        {"name": "same", "method": "tent", "changes": {}},
        {"name": "unused", "method": "tent", "changes": {"steps": 1}},
    )
    config = CONFIG | {"method": ("none", "k5", "same"), "variants": variants}
    rows = [row("fog", 0, 20), row("fog", 0, 20, "text_to_image")]
    line = protocol_line(config, rows)
    assert (
        "scenes_c, none, k5, same; image_to_text: 10 queries, gallery of 50; text_to_image: "
        "10 queries, gallery of 50; stream continual, score last_forward, 3 steps a batch, batches "
        "of 64, adapting image queries layer_norms, text queries block_layer_norms; "
        "k5 is reex with k=5 score=after; same is tent with no change; severities 5;"
    ) in line
    assert "adapting text queries block_layer_norms; k5" in protocol_line(config, rows[1:])


def test_protocol_says_what_repairs_text_queries():
    gsr = {"rewriter": "openai", "model": "m-7b", "fusion": "dynamic"}
    text, image = row("ocr", 0, 20, "text_to_image"), row("fog", 0, 20)
    line = protocol_line(CONFIG | {"gsr": gsr}, [text, image])
    assert "batches of 64; text queries repaired by openai m-7b, fused by dynamic; sever" in line
    symspell = CONFIG | {"gsr": gsr | {"rewriter": "symspell", "model": ""}}
    assert "repaired by symspell, fused by dynamic" in protocol_line(symspell, [text])
    for config, rows in ((symspell, [image]), (CONFIG | {"gsr": gsr | {"rewriter": ""}}, [text])):
        assert "repaired" not in protocol_line(config, rows)


def test_skipped_updates_are_told():
    rows = [row("fog", s, 20) | {"skipped": 0} for s in (0, 1)]
    assert skipped_lines(rows) == ""
    rows += [row("fog", s, 20) | {"method": "tent", "skipped": s} for s in (0, 1, 2)]
    assert skipped_lines(rows) == (
        "tent: updates were skipped because they were not finite, in 2 of 3 streams "
        '("skipped" in metrics.jsonl)'
    )


def test_one_table_does_not_mix_methods():
    with pytest.raises(UserError, match=r"several methods \(none, tent\).*comparison_table"):
        method_table([row("fog", 0, 20), row("fog", 0, 24) | {"method": "tent"}])
