"""Cached queries are those that are made anew."""

import numpy as np
import pytest

from reex_jax.datasets.scenes import load_scenes
from reex_jax.queries import cached as cached_queries
from reex_jax.queries.own import own_query
from reex_jax.queries.pipeline import prepared_batches
from reex_jax.queries.source import query_source
from reex_jax.queries.streams import Stream
from reex_jax.settings.data import Data

COUNT = 8
STREAM = Stream("image_to_text", "gaussian_noise", 4, 2)


@pytest.fixture(scope="module")
def data():
    return load_scenes(COUNT)


def source(data, folder):
    return query_source(Data(cache=str(folder)), data, [STREAM])


@pytest.fixture
def made(monkeypatch):
    """Positions whose image is computed from now on."""
    computed = []

    def noted(data, stream, position):
        computed.append(position)
        return original(data, stream, position)

    original = cached_queries.corrupted_array
    monkeypatch.setattr(cached_queries, "corrupted_array", noted)
    return computed


def assert_right(data, query):
    batches = prepared_batches(
        range(COUNT), lambda i: np.asarray(query(STREAM, i)), batch_size=3, workers=4
    )
    images = np.concatenate([batch.inputs[batch.mask] for batch in batches])
    expected = np.stack([np.asarray(own_query(data, STREAM, i)) for i in range(COUNT)])
    np.testing.assert_array_equal(images, expected)


def test_images_are_computed_once_for_all_runs(data, tmp_path, made):
    assert_right(data, source(data, tmp_path))
    assert sorted(made) == list(range(COUNT))
    assert_right(data, source(data, tmp_path))
    assert len(made) == COUNT
    assert len(list(tmp_path.iterdir())) == 1


def test_clean_images_and_captions_are_not_kept(data, tmp_path, made):
    query = source(data, tmp_path / "cache")
    clean = np.asarray(query(Stream("image_to_text", "clean", 0, 0), 1))
    np.testing.assert_array_equal(clean, np.asarray(data.images[1]))
    swap = Stream("text_to_image", "swap", 5, 0)
    expected = own_query(data, swap, 3)
    assert query(swap, 3) == expected != data.captions[3]
    assert not made and not (tmp_path / "cache").exists()


def test_a_damaged_record_is_made_anew_and_its_file_removed(data, tmp_path, made, caplog):
    assert_right(data, source(data, tmp_path))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    used = np.flatnonzero(np.frombuffer(content, np.uint8))  # the format fills up with zeros
    content[used[len(used) // 2]] ^= 255
    file.write_bytes(content)
    assert_right(data, source(data, tmp_path))
    assert "is damaged (" in caplog.text and not file.exists()
    assert_right(data, source(data, tmp_path))
    assert file.exists()


def test_other_code_makes_other_files(data, tmp_path, made, monkeypatch):
    assert_right(data, source(data, tmp_path))
    assert cached_queries.corruption_version() == cached_queries.corruption_version()
    monkeypatch.setattr(cached_queries, "corruption_version", lambda: "another")
    assert_right(data, source(data, tmp_path))
    assert len(list(tmp_path.iterdir())) == 2 and len(made) == 2 * COUNT


def test_the_version_changes_with_libraries(monkeypatch):
    before = cached_queries.corruption_version()
    monkeypatch.setattr(cached_queries.importlib.metadata, "version", lambda name: "0")
    assert cached_queries.corruption_version() != before
