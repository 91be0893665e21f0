"""The streams of benchmarks/stress_streams.py, and its tables from numbers made up here."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.stress_queries import BATCH, Pictures, stress_streams
from benchmarks.stress_streams import COLUMNS, against_none, of_each, table

COUNT = 128


@pytest.fixture(scope="module")
def pictures():
    """Each picture is one number: its kind's hundreds and its image."""
    kinds = ("clean", "gaussian_blur", "contrast", "noise")
    by_kind = {kind: 1000 * i + np.arange(COUNT)[:, None] for i, kind in enumerate(kinds)}
    encode = SimpleNamespace(encode_pixels=lambda x: np.hstack([-x.astype(float), np.ones_like(x)]))
    return Pictures(encode, by_kind | {"black": np.array([[-1]])})


@pytest.fixture(scope="module")
def streams(pictures):
    return {stress.name: stress for stress in stress_streams(pictures, 2)}


def test_every_stream_asks_as_many_queries_that_show_their_images(pictures, streams):
    names = [stress.name for stress in stress_streams(pictures, 2)]
    assert len(names) == len(set(names)) == 28
    for stress in streams.values():
        for queries in stress.draws:
            assert [len(part) for part in queries] == [COUNT] * 3
            pixels = pictures.pixels(queries)
            assert pixels.shape == (COUNT, 1)
            real = queries.kinds != "black"
            np.testing.assert_array_equal(pixels[real, 0] % 1000, queries.images[real])


def test_streams_hold_what_they_are_called(pictures, streams):
    def kinds(name):
        return dict(zip(*np.unique(streams[name].draws[0].kinds, return_counts=True), strict=True))

    assert kinds("clean") == {"clean": COUNT}
    assert 4 <= kinds("clean, 10% gaussian_blur among them")["gaussian_blur"] <= 24
    assert 48 <= kinds("clean, 50% gaussian_blur among them")["gaussian_blur"] <= 80
    assert (
        kinds("black images") == {"black": COUNT}
        and not streams["black images"].draws[0].scored.any()
    )
    for name in ("contrast", "noise"):
        first, last = np.split(streams[f"{name}, then clean"].draws[0].kinds, 2)
        assert set(first) == {name} and set(last) == {"clean"}
        assert streams[f"{name}, then clean"].draws[0].scored.sum() == COUNT // 2
    for name, number in (("one query", 1), ("4 queries", 4), ("100 queries", 100)):
        for queries in streams[f"{name} repeated"].draws:
            assert len(set(queries.images)) == number
    one, other = (stress.images for stress in streams["Zipf popularity"].draws)
    assert np.bincount(one).max() > 10 and not np.array_equal(one, other)
    topics = streams["sorted by topic"].draws[0].images
    assert np.array_equal(topics, np.arange(COUNT)) or np.array_equal(
        topics, np.arange(COUNT)[::-1]
    )
    assert {stress.batch_size for stress in streams.values()} == {1, 2, 4, 8, 16, BATCH}
    assert {stress.rate for stress in streams.values()} == {1, 10, 100}


def row(stream, method, **hits):
    every = {key: [1.0, 0.0] for key in COLUMNS} | hits
    means = {name: 100 * float(np.mean(own)) if own else None for name, own in every.items()}
    return {"stream": stream, "method": method, "hits": every, **means}


def test_every_picture_counts_once():
    images, hits = np.array([7, 3, 7, 7, 7]), np.array([1, 0, 1, 0, 1])
    np.testing.assert_allclose(of_each(hits, images), [0.0, 0.75])
    assert of_each(hits[:0], images[:0]).size == 0


def test_tables_and_what_is_lost_at_worst():
    rows = [
        row("clean", "none"),
        row("clean", "reex", plain=[0.9, 0.0], frozen_plain=[1.0, 0.5]),
        row("black images", "none", plain=[], calibrated=[]),
        row("black images", "reex", plain=[], calibrated=[], frozen_plain=[0.5, 0.0]),
    ]
    found = table(rows, "").splitlines()
    assert [cell.strip() for cell in found[0].split("|")[1:-1]] == ["stream", "none", "reex"]
    assert "45.0 / 50.0" in found[2] and "- / -" in found[3]
    assert against_none(rows) == [
        "reex, plain: worst -5.0 ± 5.0 (clean); below -1: clean -5.0 ± 5.0",
        "reex, calibrated: worst +0.0 ± 0.0 (clean); below -1: none",
        "reex, frozen_plain: worst -25.0 ± 25.0 (black images); "
        "below -1: black images -25.0 ± 25.0",
        "reex, frozen_calibrated: worst +0.0 ± 0.0 (clean); below -1: none",
    ]
