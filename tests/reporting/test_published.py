"""Published numbers beside ours: what the file holds, and what the table says."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.commands.run import benchmark_report
from reex_jax.errors import UserError
from reex_jax.reporting import published
from reex_jax.reporting.published import (
    COLUMNS,
    SETS,
    deviations,
    published_recall,
    published_table,
    read_published,
)
from reex_jax.settings.choices import PUBLISHED

ROOT = Path(__file__).parents[2]


def experiment(sweeps, **changes):
    spec = importlib.util.spec_from_file_location("tcr", ROOT / "experiments" / "tcr_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(sweeps).replaced(changes)


def row(method, corruption, recall, direction="image_to_text", severity=5, seed=0):
    values = {"method": method, "direction": direction, "corruption": corruption}
    return {**values, "severity": severity, "seed": seed, "recall@1": recall}


def test_the_file_is_whole_and_its_means_are_those_of_its_columns():
    lines = read_published()
    assert len(lines) == 570
    names = {line["corruption_or_dataset"] for line in lines if line["benchmark"] == "coco_c"}
    assert names == {*COLUMNS, "Avg"} and len(COLUMNS) == 16 + 15
    assert set(SETS) == set(PUBLISHED) - {""}
    text = published.FILE.read_text("utf-8")
    assert "arXiv 2410.15624" in text
    # An independent reading: every mean of tables 1 and 2 against its own columns.
    groups = {}
    for one in csv.DictReader(line for line in text.splitlines() if line[0] != "#"):
        if one["benchmark"] == "coco_c":
            key = one["backbone"], one["direction"], one["method"]
            groups.setdefault(key, {})[one["corruption_or_dataset"]] = float(
                one["recall_at_1_percent"]
            )
    assert len(groups) == 24
    for values in groups.values():
        mean = values.pop("Avg")
        assert len(values) in (15, 16) and abs(np.mean(list(values.values())) - mean) < 0.15


def test_each_backbone_has_its_numbers():
    blip = published_recall("tcr_blip_base", "coco")
    assert blip["none", "image_to_text", "fog"] == 57.0
    assert blip["none", "image_to_text", "gaussian_noise"] == 43.4
    assert len(blip) == 6 * (16 + 15)
    assert published_recall("tcr_blip_base", "flickr30k") == {}
    assert published_recall("tcr_clip", "coco")["none", "text_to_image", "clean"] == 33.0
    assert published_recall("tcr_clip", "flickr30k")["none", "image_to_text", "clean"] == 80.2
    with pytest.raises(UserError, match="unknown published set 'tcr'"):
        published_recall("tcr", "coco")


def test_the_table_has_theirs_ours_and_the_difference():
    config = experiment("images").to_dict()
    rows = [row("none", "fog", 58.5), row("none", "gaussian_noise", 42.0)]
    rows += [row("tcr", "fog", 60.0), row("tcr", "gaussian_noise", 50.0)]
    rows += [row("none", "fog", 59.5, seed=1), row("none", "gaussian_noise", 44.0, seed=1)]
    table = published_table(config, rows)
    lines = [
        [c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines() if "|" in line
    ]
    assert lines[0] == ["method", "fog", "gauss", "mean of corruptions"]
    assert lines[2:] == [
        ["none, published", "57.0", "43.4", "50.2"],
        ["none, ours", "59.0", "43.0", "51.0"],
        ["none, difference", "+2.0", "-0.4", "+0.8"],
        ["tcr, ours", "60.0", "50.0", "55.0"],  # no number of TCR's own is public to us
    ]
    assert "BLIP ViT-B/16" in table and table.endswith("numbers, the protocol is theirs")
    assert published_table({**config, "published": ""}, rows) == ""
    assert published_table(config, [row("none", "saturate", 1.0)]) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "bundled"}, "checkpoint bundled, theirs is BLIP ViT-B/16"),
        ({"data": {"preprocessing": "clip"}}, "data.preprocessing clip, theirs tcr"),
        ({"data": {"released_images": ""}}, "our corruptions, not the published files"),
        ({"adapt": {"stream": "continual"}}, "adapt.stream continual, theirs reset"),
        ({"max_queries": 100}, "max_queries 100, theirs 0"),
        ({"runlocal": True}, "runlocal, a small part of the data"),
    ],
)
def test_what_differs_from_their_protocol_is_said(changes, message):
    config = experiment("images", **changes).to_dict()
    assert any(message in phrase for phrase in deviations(config, [row("none", "fog", 50.0)]))


def test_severities_below_the_highest_are_said():
    config = experiment("texts").to_dict()
    rows = [row("none", "ocr", 30.0, "text_to_image", 5)]
    assert deviations(config, rows) == ["another severity than the highest of ocr"]
    assert deviations(config, [{**rows[0], "severity": 7}]) == []


@pytest.mark.parametrize("part", ["images", "texts", "sentences", "clip", "clip_flickr"])
def test_every_part_has_columns_that_were_published(part):
    one = experiment(part)
    known = published_recall(one.published, one.data.preset)
    for direction in one.directions:
        kinds = one.kinds(direction) or ("clean",)
        assert all(("none", direction, kind) in known for kind in kinds)
    assert deviations(one.to_dict(), []) == []
    large = experiment("images,large")
    assert deviations(large.to_dict(), []) == [] and large.published == "tcr_blip_large"


def test_the_tables_run_on_a_folder_of_the_same_layout(tiny_coco, karpathy_script, tmp_path):
    released = karpathy_script.make_released(tmp_path / "released")
    blip = ROOT / "tests" / "data" / "families" / "blip"
    small = {"checkpoint": str(blip), "method": ("none", "tent"), "batch_size": 8}
    small |= {"results": str(tmp_path / "results"), "progress": False}
    data = {"root": str(tiny_coco), "released_images": str(released)}
    data |= {"released_captions": str(released)}
    for part, kinds, theirs in (
        ("images", {"image": ("fog",)}, 57.0),
        ("texts", {"text": ("ocr",)}, published_recall("tcr_blip_base", "coco")),
    ):
        if part == "texts":
            small["method"] = ("none",)  # that learning goes through, the images have shown
        one = experiment(part, data=data, corruptions=kinds, **small)
        folder, rows = run_benchmark(one)
        report = benchmark_report(folder, rows)
        assert one.data.preset == "coco" and one.checkpoint == str(blip)
        assert "not comparable: checkpoint" in report and "batch_size 8, theirs 64" in report
        assert "our corruptions" not in report and "another severity" not in report
        if part == "texts":
            theirs = theirs["none", "text_to_image", "ocr"]
        lines = [line.split("|") for line in report.splitlines() if "| none, " in line]
        cells = {line[1].strip(): line[2].strip() for line in lines}
        assert float(cells["none, published"]) == theirs
        ours = next(r["recall@1"] for r in rows if r["method"] == "none")
        assert float(cells["none, ours"]) == round(ours, 1)
        assert cells["none, difference"] == f"{ours - theirs:+.1f}"
