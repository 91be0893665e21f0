"""A benchmark end to end with the bundled model, on a dozen scenes."""

import json

import numpy as np
import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.models.clip.api import load_clip
from reex_jax.queries.own import own_query
from reex_jax.queries.streams import Stream
from reex_jax.reporting.rows import STREAM_KEYS, read_rows, stream_key

NUM_IMAGES = 12
TIMINGS = {"queries_per_s", "step_ms", "compile_s", "peak_memory_mb"}
METRICS = {"recall@1", "recall@5", "recall@10", "mAP", "median_rank"}
INTERVAL = {"recall@1_low", "recall@1_high"}
SIZES = {"num_queries", "gallery_size"}
COURSE = {"loss", "confident", "skipped", "restored", "late_programs"}
CALIBRATED = {f"calibrated_{name}" for name in METRICS | INTERVAL}


@pytest.fixture(scope="module")
def finished(small_config, tmp_path_factory):
    """The folder and rows of one whole run; its tests leave the folder as it is."""
    return run_benchmark(small_config(tmp_path_factory.mktemp("finished")))


def test_the_folder_holds_the_run(finished):
    folder, rows = finished
    assert folder.path.parent.name == "benchmark" and folder.path.name.startswith("none-")
    config = json.loads((folder.path / "config.json").read_text())
    assert config["data"]["num_images"] == NUM_IMAGES
    assert config["corruptions"]["text"] == ["keyboard"]
    environment = json.loads((folder.path / "environment.json").read_text())
    assert len(environment["checkpoint"]["sha256"]) == 64
    assert list((folder.path / "events").glob("events.out.tfevents.*"))
    assert read_rows(folder.metrics) == rows


def test_rows_hold_what_a_result_needs(finished):
    _, rows = finished
    assert [stream_key(row)[1:] for row in rows] == [
        ("image_to_text", "clean", 0, 0),
        ("image_to_text", "gaussian_noise", 5, 0),
        ("text_to_image", "clean", 0, 0),
        ("text_to_image", "keyboard", 5, 0),
    ]
    for row in rows:
        measured = SIZES | METRICS | INTERVAL | CALIBRATED | COURSE | TIMINGS
        assert set(row) == {*STREAM_KEYS} | measured
        for prefix in ("", "calibrated_"):
            low, high = row[f"{prefix}recall@1_low"], row[f"{prefix}recall@1_high"]
            assert low <= row[f"{prefix}recall@1"] <= high
        assert row["queries_per_s"] > 0 and row["step_ms"] > 0 and row["peak_memory_mb"] > 0
        assert row["compile_s"] >= 0
        assert [row[name] for name in ("loss", "confident")] == [None] * 2  # nothing is learned
        assert [row[name] for name in ("skipped", "restored", "late_programs")] == [0] * 3
    assert [(row["num_queries"], row["gallery_size"]) for row in rows] == [
        (12, 60),
        (12, 60),
        (60, 12),
        (60, 12),
    ]


@pytest.fixture(scope="module")
def clip():
    return load_clip(batch_size=8)


def naive_metrics(scores, right):
    """Metrics by sorting each query's whole ranking; `right` [queries, gallery] bool."""
    recalls, precisions, best = {1: [], 5: [], 10: []}, [], []
    for query_scores, query_right in zip(scores, right, strict=True):
        ranking = query_right[np.argsort(-query_scores, kind="stable")]
        places = np.flatnonzero(ranking) + 1
        for k, hits in recalls.items():
            hits.append(places[0] <= k)
        precisions.append(np.mean([(n + 1) / place for n, place in enumerate(places)]))
        best.append(places[0])
    return {
        **{f"recall@{k}": 100 * np.mean(hits) for k, hits in recalls.items()},
        "mAP": 100 * np.mean(precisions),
        "median_rank": np.median(best),
    }


def test_metrics_are_those_of_a_naive_ranking(finished, clip):
    data = load_scenes(NUM_IMAGES)
    images = clip.encode_images([data.images[i] for i in range(NUM_IMAGES)])
    texts = clip.encode_texts(data.captions)
    owns = np.arange(NUM_IMAGES)[:, None] == data.caption_image[None, :]
    for row in finished[1]:
        stream = Stream(row["direction"], row["corruption"], row["severity"], row["seed"])
        queries = [own_query(data, stream, i) for i in range(row["num_queries"])]
        if row["direction"] == "image_to_text":
            scores, right = clip.encode_images(queries) @ texts.T, owns
        else:
            scores, right = clip.encode_texts(queries) @ images.T, owns.T
        expected = naive_metrics(scores, right)
        assert {name: row[name] for name in METRICS} == pytest.approx(expected, abs=1e-6)
        places = [
            np.flatnonzero(r[np.argsort(-s)]).min() for s, r in zip(scores, right, strict=True)
        ]
        np.testing.assert_array_equal(np.load(finished[0].ranks(row)), places)
    assert min(row["recall@1"] for row in finished[1]) > 100 / NUM_IMAGES  # better than chance


def test_another_folder_gets_the_same_numbers(finished, small_config, numbers, tmp_path):
    folder, rows = run_benchmark(small_config(tmp_path))
    assert folder.path.name == finished[0].path.name
    assert numbers(rows) == numbers(finished[1])


def plain(rows):
    """Rows without what calibration adds."""
    return [{key: row[key] for key in row if key not in CALIBRATED} for row in rows]


@pytest.mark.parametrize("batch_size", [5, 64])
def test_the_batch_size_changes_no_number(finished, small_config, numbers, tmp_path, batch_size):
    """Neither divides 12 or 60; 64 is larger than both.

    Calibrated ranking counts a query's own batch, so that its numbers may differ.
    """
    _, rows = run_benchmark(small_config(tmp_path, batch_size=batch_size))
    for row, expected in zip(plain(numbers(rows)), plain(numbers(finished[1])), strict=True):
        assert row == pytest.approx(expected)


def test_calibrated_results_stand_beside_the_plain_ones(finished, small_config, numbers, tmp_path):
    folder, rows = finished
    for row in rows:
        ranks = np.load(folder.ranks(row, "calibrated"))
        assert ranks.shape == (row["num_queries"],)
        assert row["calibrated_recall@1"] == pytest.approx(100 * np.mean(ranks == 0))
    off, others = run_benchmark(small_config(tmp_path, rank={"calibration": "off"}))
    assert numbers(others) == plain(numbers(rows))
    for row in others:
        np.testing.assert_array_equal(np.load(off.ranks(row)), np.load(folder.ranks(row)))
        assert not off.ranks(row, "calibrated").exists()


def test_a_restart_measures_only_what_is_missing(small_config, numbers, tmp_path, measured, capsys):
    config = small_config(tmp_path)
    folder, rows = run_benchmark(config)
    environment = (folder.path / "environment.json").read_text()
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:-1]))
    measured.clear()

    again, resumed = run_benchmark(config)
    assert measured == ["text_to_image keyboard 5 (seed 0)"]
    assert again.path == folder.path
    assert f"3 of 4 streams were measured before, in {folder.path}" in capsys.readouterr().out
    assert resumed[:-1] == rows[:-1]
    assert numbers(resumed) == numbers(rows)
    assert read_rows(folder.metrics) == resumed
    assert (folder.path / "environment.json").read_text() == environment
    measured.clear()

    before = folder.metrics.read_bytes()
    _, third = run_benchmark(config)
    assert measured == [] and third == resumed
    assert folder.metrics.read_bytes() == before
    assert "4 of 4 streams were measured before" in capsys.readouterr().out


def test_a_run_id_belongs_to_one_configuration(finished, small_config):
    path = finished[0].path
    config = small_config(path.parents[1], run_id=path.name, data={"num_images": 13})
    with pytest.raises(UserError, match=r"another settings: data\.num_images; set run_id"):
        run_benchmark(config)


def test_an_impossible_configuration_leaves_no_folder(small_config, tmp_path):
    with pytest.raises(UserError, match="unknown value of method: 'reax'"):
        run_benchmark(small_config(tmp_path / "results", method=("reax",)))
    assert not (tmp_path / "results").exists()


@pytest.fixture
def own_data(tmp_path):
    """Eight scenes as a user's folder: images and captions.jsonl."""
    data = load_scenes(8)
    root = tmp_path / "pictures"
    root.mkdir()
    records = []
    for i in range(8):
        data.images[i].save(root / f"{i}.png")
        captions = [data.captions[j] for j in data.captions_of(i)]
        records.append(json.dumps({"image": f"{i}.png", "caption": captions}))
    (root / "captions.jsonl").write_text("\n".join(records) + "\n")
    return root


@pytest.fixture
def folder_config(small_config, own_data):
    def make(results, **changes):
        return small_config(results, data={"name": "folder", "root": str(own_data)} | changes)

    return make


def test_own_data_gets_the_numbers_of_the_same_scenes(
    folder_config, small_config, numbers, tmp_path
):
    """Clean ones; corruptions go by the id of an item, which is its file here."""
    _, rows = run_benchmark(folder_config(tmp_path / "own"))
    _, expected = run_benchmark(small_config(tmp_path / "scenes", data={"num_images": 8}))
    clean = [row for row in numbers(rows) if row["corruption"] == "clean"]
    assert clean == [row for row in numbers(expected) if row["corruption"] == "clean"]
    assert [row["num_queries"] for row in rows] == [8, 8, 40, 40]


def test_a_broken_image_is_refused_or_left_out(own_data, folder_config, tmp_path, caplog):
    broken = own_data / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UserError, match=r"3\.png") as refused:
        run_benchmark(folder_config(tmp_path / "raise"))
    assert "data.on_error=skip" in str(refused.value)

    _, rows = run_benchmark(folder_config(tmp_path / "skip", on_error="skip"))
    assert [row["num_queries"] for row in rows] == [7, 7, 35, 35]
    assert [row["gallery_size"] for row in rows] == [35, 35, 7, 7]
    assert "left out 1 faulty item" in caplog.text and "3.png" in caplog.text
