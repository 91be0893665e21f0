"""experiments/coco_c.py, flickr_c.py and folder.py end to end, on tiny data in their layouts."""

import importlib.util
import json
from pathlib import Path

import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.tfds_builder import write_tfds
from reex_jax.errors import UserError
from reex_jax.settings.methods import Methods

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TIMINGS = {"queries_per_s", "step_ms", "compile_s", "peak_memory_mb"}


def experiment(name, root, results, sweeps=""):
    """A shipped configuration, with the data, the checkpoint and the size that CI has."""
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    changes = {"results": str(results), "batch_size": 8, "progress": False, "runlocal": True}
    changes |= {"checkpoint": "bundled", "data": {"root": str(root)}}
    return module.get_config(sweeps).replaced(changes)


def numbers(rows):
    """Rows without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in TIMINGS} for row in rows]


def clean(rows):
    return [row for row in numbers(rows) if row["corruption"] == "clean"]


def test_coco_c_runs_on_a_tiny_coco(tiny_coco, tmp_path):
    config = experiment("coco_c", tiny_coco, tmp_path)
    folder, rows = run_benchmark(config)
    assert folder.path.parent.name == "coco_c"
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        ("clean", 0),
        ("gaussian_noise", 5),
        ("clean", 0),
        ("ocr", 5),
    ]
    assert [(row["num_queries"], row["gallery_size"]) for row in rows] == [
        (20, 100),
        (20, 100),
        (100, 20),
        (100, 20),
    ]
    # The model knows scenes: chance would find 5 % of the images.
    assert [row["recall@1"] > 40 for row in clean(rows)] == [True, True]
    for undamaged, damaged in (rows[:2], rows[2:]):
        assert damaged["mAP"] < undamaged["mAP"]  # recall is coarse on so few
    again = experiment("coco_c", tiny_coco, tmp_path / "again")
    again = again.replaced({"data": {"captions_file": "coco_karpathy_test.json"}})
    _, rows_of_list = run_benchmark(again)
    assert [r["recall@1"] for r in rows_of_list] == [r["recall@1"] for r in rows]


def test_the_folder_loader_gets_the_same_clean_numbers(tiny_coco, karpathy_script, tmp_path):
    """An independent way to the same data, which keeps all captions: only image 3 has more."""
    config = experiment("coco_c", tiny_coco, tmp_path / "coco")
    config = config.replaced({"data": {"max_images": 3}})
    _, expected = run_benchmark(config)
    config = experiment("folder", tiny_coco, tmp_path / "folder")
    own = {"captions_file": "coco_karpathy_test.json", "max_images": 3}
    config = config.replaced({"data": own, "method": ("none",)})
    _, rows = run_benchmark(config)
    assert clean(rows) == clean(expected)


def test_a_prepared_set_gets_the_same_numbers(tiny_coco, tmp_path):
    """Corrupted queries too, because ids and order are kept."""
    write_tfds(load_karpathy(tiny_coco, preset="coco"), tmp_path, name="coco", split="test")
    config = experiment("coco_c", tiny_coco, tmp_path / "files")
    _, expected = run_benchmark(config)
    config = experiment("coco_c", tmp_path / "coco", tmp_path / "prepared")
    config = config.replaced({"data": {"name": "tfds"}})
    _, rows = run_benchmark(config)
    assert len(rows) == 4 and numbers(rows) == numbers(expected)


def test_flickr_c_runs_on_a_tiny_flickr(karpathy_script, tmp_path):
    root = karpathy_script.make_karpathy(tmp_path / "flickr", "flickr30k", count=6)
    _, rows = run_benchmark(experiment("flickr_c", root, tmp_path, "tcr"))
    assert [row["num_queries"] for row in rows] == [6, 6, 30, 30]
    assert min(row["recall@1"] for row in clean(rows)) > 100 / 6


def test_missing_data_is_explained_before_the_gallery_is_made(tmp_path):
    with pytest.raises(UserError, match=r"data/coco: no such folder.*set data\.root.*cocodataset"):
        run_benchmark(experiment("coco_c", "data/coco", tmp_path))


def test_the_sweep_of_blip_has_tcrs_published_settings(tiny_coco, tmp_path):
    config = experiment("coco_c", tiny_coco, tmp_path, "blip")
    assert config.data.preprocessing == "tcr" and config.batch_size == 8  # runlocal's
    for method in ("tcr", "tent"):
        settings = getattr(config.settings, method)
        assert (settings.image.learning_rate, settings.text.learning_rate) == (3e-4, 3e-5)
    assert config.settings.reex == Methods().reex  # its rates are its own for every model
    families = EXPERIMENTS.parent / "tests" / "data" / "families"
    changes = {"checkpoint": str(families / "blip"), "method": ("none", "tcr")}
    folder, rows = run_benchmark(config.replaced(changes))
    assert len(rows) == 8
    settings = json.loads((folder.path / "config.json").read_text())
    assert settings["data"]["preprocessing"] == "tcr"
