"""What a method sees in each protocol: numbers worked out by stepping an Adapter by hand."""

import numpy as np
import pytest

from reex_jax.adaptation.adapter import Adapter
from reex_jax.benchmark import passes
from reex_jax.benchmark.methods import method_settings
from reex_jax.benchmark.run import run_benchmark
from reex_jax.datasets.scenes import load_scenes
from reex_jax.models.clip.api import load_clip
from reex_jax.queries.own import own_query
from reex_jax.queries.streams import Stream
from reex_jax.reporting.rows import read_rows

COUNT = 20
BATCH = 8
FIRST, SECOND = "contrast", "gaussian_noise"
RECALLS = ("recall@1", "recall@5", "recall@10", "mAP")


@pytest.fixture(scope="module")
def tent_config(small_config):
    """(results, protocol, **changes) -> Tent on two corruptions, with steps that change much."""

    def make(results, protocol, kinds=(FIRST, SECOND), **changes):
        changes = {"directions": ("image_to_text",), "method": ("tent",)} | changes
        return small_config(
            results,
            data={"num_images": COUNT},
            corruptions={"image": kinds},
            adapt={"stream": protocol},
            settings={"tent": {"image": {"learning_rate": 0.02}}},
            **changes,
        )

    return make


@pytest.fixture(scope="module")
def finished(tent_config, tmp_path_factory):
    """protocol -> the folder and rows of one whole run; tests leave the folders as they are."""
    return {
        protocol: run_benchmark(tent_config(tmp_path_factory.mktemp(protocol), protocol))
        for protocol in ("reset", "continual", "mixed")
    }


@pytest.fixture(scope="module")
def by_hand(tent_config, tmp_path_factory):
    """Steps one adapter over (corruption, position) pairs -> the best ranks, in that order."""
    config = tent_config("", "reset")
    clip, data = load_clip(batch_size=BATCH), load_scenes(COUNT)
    gallery = clip.encode_texts(data.captions)
    settings = method_settings(config, "tent", "image_to_text")
    adapter = Adapter(clip, gallery, query="image", method="tent", **settings)

    def step(queries):
        found = []
        for start in range(0, len(queries), BATCH):
            asked = queries[start : start + BATCH]
            severities = [0 if kind == "clean" else 5 for kind, _ in asked]
            images = [
                own_query(data, Stream("image_to_text", kind, severity, 0), position)
                for (kind, position), severity in zip(asked, severities, strict=True)
            ]
            for scores, (_, position) in zip(adapter.similarities(images), asked, strict=True):
                right = np.flatnonzero(data.caption_image == position)
                ranking = np.argsort(-scores, kind="stable")
                found.append(np.flatnonzero(np.isin(ranking, right)).min())
        return np.array(found)

    return adapter, step


def shuffled(count, seed=0):
    return np.random.default_rng(seed).permutation(count).tolist()


def ranks_of(folder, rows):
    return {row["corruption"]: np.load(folder.ranks(row)) for row in rows}


def in_data_order(order, found):
    ranks = np.full(len(order), -1)
    ranks[order] = found
    return ranks


def test_reset_starts_afresh_for_each_corruption(finished, by_hand):
    folder, rows = finished["reset"]
    ranks = ranks_of(folder, rows)
    assert list(ranks) == ["clean", FIRST, SECOND]
    adapter, step = by_hand
    order = shuffled(COUNT)
    for kind in ranks:
        adapter.reset()
        found = in_data_order(order, step([(kind, position) for position in order]))
        np.testing.assert_array_equal(ranks[kind], found)


def test_reset_gives_a_corruption_the_row_that_it_has_alone(
    finished, tent_config, numbers, tmp_path
):
    _, rows = run_benchmark(tent_config(tmp_path, "reset", kinds=(SECOND,)))
    assert numbers(rows) == [numbers(finished["reset"][1])[i] for i in (0, 2)]


def test_continual_goes_on_with_what_was_learned(finished, by_hand):
    folder, rows = finished["continual"]
    ranks = ranks_of(folder, rows)
    adapter, step = by_hand
    order = shuffled(COUNT)
    for kind in ("clean", FIRST, SECOND):
        if kind != SECOND:  # clean queries teach the corrupted ones nothing
            adapter.reset()
        found = in_data_order(order, step([(kind, position) for position in order]))
        np.testing.assert_array_equal(ranks[kind], found)


def test_continual_changes_the_second_corruption_alone(finished, numbers):
    reset, continual = (numbers(finished[name][1]) for name in ("reset", "continual"))
    assert reset[:2] == continual[:2]
    assert reset[2]["loss"] != continual[2]["loss"] and reset[2]["mAP"] != continual[2]["mAP"]


def test_mixed_adapts_to_all_corruptions_at_once(finished, by_hand):
    folder, rows = finished["mixed"]
    ranks = ranks_of(folder, rows)
    adapter, step = by_hand
    adapter.reset()
    order = shuffled(COUNT)
    np.testing.assert_array_equal(
        ranks["clean"], in_data_order(order, step([("clean", position) for position in order]))
    )
    adapter.reset()
    order = shuffled(2 * COUNT)
    queries = [((FIRST, SECOND)[i // COUNT], i % COUNT) for i in order]
    found = in_data_order(order, step(queries))
    np.testing.assert_array_equal(ranks[FIRST], found[:COUNT])
    np.testing.assert_array_equal(ranks[SECOND], found[COUNT:])


def test_mixed_has_a_row_for_each_corruption_with_its_queries_once(finished):
    folder, rows = finished["mixed"]
    assert [row["corruption"] for row in rows] == ["clean", FIRST, SECOND]
    assert [row["num_queries"] for row in rows] == [COUNT] * 3
    for row in rows:
        ranks = np.load(folder.ranks(row))
        assert ranks.shape == (COUNT,) and ranks.dtype == np.int32 and ranks.min() >= 0
        assert row["recall@1"] == pytest.approx(100 * np.mean(ranks == 0))
    assert rows[1]["loss"] == rows[2]["loss"]  # of their common pass


def test_the_unadapted_model_gets_the_same_recall_in_every_protocol(tent_config, tmp_path):
    found = []
    for protocol in ("reset", "continual", "mixed"):
        config = tent_config(tmp_path / protocol, protocol, method=("none",))
        found.append([[row[name] for name in RECALLS] for row in run_benchmark(config)[1]])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("protocol", ["reset", "continual", "mixed"])
def test_a_run_that_was_interrupted_ends_with_the_same_numbers(
    finished, tent_config, numbers, tmp_path, monkeypatch, measured, protocol
):
    """Each protocol, stopped before its last pass begins."""
    expected = finished[protocol][1]
    last = 2 if protocol == "mixed" else 3
    config = tent_config(tmp_path, protocol)
    with monkeypatch.context() as patch:
        counting = passes.measure

        def stop(*arguments, **settings):
            if len(measured) == last - 1:
                raise KeyboardInterrupt
            return counting(*arguments, **settings)

        patch.setattr(passes, "measure", stop)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(config)
    assert len(measured) == last - 1
    measured.clear()
    folder, rows = run_benchmark(config)
    assert len(measured) == 1
    assert numbers(rows) == numbers(expected) == numbers(read_rows(folder.metrics))


def without_last_row(folder):
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:-1]))


def test_a_pass_whose_checkpoint_is_gone_is_repeated_but_not_written_again(
    finished, tent_config, numbers, tmp_path, measured
):
    config = tent_config(tmp_path, "continual")
    folder, _ = run_benchmark(config)
    without_last_row(folder)
    (folder.path / "checkpoints").rename(folder.path / "moved")
    measured.clear()
    _, rows = run_benchmark(config)
    assert measured == [f"image_to_text {kind} 5 (seed 0)" for kind in (FIRST, SECOND)]
    assert numbers(rows) == numbers(finished["continual"][1])
    assert read_rows(folder.metrics) == rows


def test_a_pass_whose_checkpoint_is_damaged_is_repeated_but_not_written_again(
    finished, tent_config, numbers, tmp_path, measured, caplog
):
    """All of its files are cut in half."""
    config = tent_config(tmp_path, "continual")
    folder, _ = run_benchmark(config)
    without_last_row(folder)
    for file in (folder.path / "checkpoints").rglob("*"):
        if file.is_file() and file.stat().st_size > 1:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    measured.clear()
    _, rows = run_benchmark(config)
    assert measured == [f"image_to_text {kind} 5 (seed 0)" for kind in (FIRST, SECOND)]
    assert "damaged" in caplog.text and "is learned again" in caplog.text
    assert numbers(rows) == numbers(finished["continual"][1])
    assert read_rows(folder.metrics) == rows


def test_a_mixed_pass_is_repeated_whole_and_writes_what_is_missing(
    finished, tent_config, numbers, tmp_path, measured
):
    config = tent_config(tmp_path, "mixed")
    folder, _ = run_benchmark(config)
    without_last_row(folder)
    measured.clear()
    _, rows = run_benchmark(config)
    assert measured == ["image_to_text 2 corruptions mixed (seed 0)"]
    assert numbers(rows) == numbers(finished["mixed"][1])
    assert read_rows(folder.metrics) == rows


def test_fewer_queries_are_the_same_ones_for_every_seed(small_config, tmp_path):
    changes = {"directions": ("image_to_text",), "max_queries": 5, "seeds": (0, 1)}
    few, rows = run_benchmark(small_config(tmp_path / "few", **changes))
    assert [(row["num_queries"], row["gallery_size"]) for row in rows] == [(5, 60)] * 4
    ranks = {(row["corruption"], row["seed"]): np.load(few.ranks(row)) for row in rows}
    np.testing.assert_array_equal(ranks["clean", 0], ranks["clean", 1])
    config = small_config(tmp_path / "all", directions=("image_to_text",))
    everything, rows = run_benchmark(config)
    chosen = np.sort(np.random.default_rng(0).permutation(12)[:5])
    for row in rows:
        kept = np.load(everything.ranks(row))[chosen]
        np.testing.assert_array_equal(ranks[row["corruption"], 0], kept)
