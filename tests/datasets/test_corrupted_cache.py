"""Corrupted images on disk: the same pixels, and never those of a wrong or torn file."""

import logging
import os
import threading

import numpy as np
import pytest
from PIL import Image

from reex_jax.datasets.corrupted_cache import CachedImages, data_digest, open_cache
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.scenes import load_scenes

KEY = {"data": "d", "code": "c", "corruption": "fog", "severity": 5, "seed": 0}
COUNT = 9


def image(position):
    rng = np.random.default_rng(position)
    return rng.integers(0, 256, (5 + position, 40 - position, 3), np.uint8)


@pytest.fixture
def make():
    """`image`, which notes the positions that it is asked for."""
    made = []

    def noted(position):
        made.append(position)
        return image(position)

    noted.made = made
    return noted


def opened(folder, make, workers=2, **key) -> CachedImages:
    cache = open_cache(folder, KEY | key, COUNT, make, workers=workers)
    assert cache is not None
    return cache


def assert_right(cache):
    for position in (3, 0, 8, 3):
        np.testing.assert_array_equal(cache[position], image(position))


@pytest.mark.parametrize("workers", [0, 3])
def test_images_are_made_once(tmp_path, make, workers):
    assert_right(opened(tmp_path / "new", make, workers))
    assert sorted(make.made) == list(range(COUNT))
    assert_right(opened(tmp_path / "new", make, workers))
    assert len(make.made) == COUNT
    (file,) = (tmp_path / "new").iterdir()
    assert file.suffix == ".array_record"


@pytest.mark.parametrize("key", KEY)
def test_every_part_of_the_key_counts(tmp_path, make, key):
    first = opened(tmp_path, make)
    second = opened(tmp_path, make, **{key: "other" if isinstance(KEY[key], str) else 7})
    assert first.path != second.path
    assert len(make.made) == 2 * COUNT


@pytest.mark.parametrize("fault", ["torn", "empty", "foreign", "noise"])
def test_a_wrong_or_torn_file_is_made_anew(tmp_path, make, fault, caplog):
    path = opened(tmp_path, make).path
    content = path.read_bytes()
    other = opened(tmp_path, make, seed=1).path
    path.write_bytes(
        {
            "torn": content[: len(content) // 2],
            "empty": b"",
            "foreign": other.read_bytes(),
            "noise": bytes(len(content)),
        }[fault]
    )
    make.made.clear()
    with caplog.at_level(logging.WARNING):
        assert_right(opened(tmp_path, make))
    assert len(make.made) == COUNT
    assert str(path) in caplog.text and "made anew" in caplog.text
    assert_right(opened(tmp_path, make))
    assert len(make.made) == COUNT


def test_a_flipped_bit_is_noticed(tmp_path, make):
    path = opened(tmp_path, make).path
    content = bytearray(path.read_bytes())
    start = content.index(image(4).tobytes()[:64])  # noise is stored as it is
    content[start + 7] ^= 1
    path.write_bytes(content)
    cache = opened(tmp_path, make)
    np.testing.assert_array_equal(cache[3], image(3))
    with pytest.raises(ValueError, match=r"array_record: image 4 is damaged \(.*mismatch"):
        cache[4]
    np.testing.assert_array_equal(cache[5], image(5))


def test_without_the_file_the_run_goes_on(tmp_path, caplog):
    def broken(position):
        if position == 5:
            raise OSError("disk full")
        return image(position)

    assert open_cache(tmp_path, KEY, COUNT, broken, workers=2) is None
    assert "not written (disk full" in caplog.text and "going on without it" in caplog.text
    assert not list(tmp_path.iterdir())
    assert open_cache(tmp_path, KEY, COUNT, lambda i: image(i)[..., 0], workers=1) is None
    assert "an image is uint8 [h, w, 3], not uint8 [5, 40]" in caplog.text


def test_threads_read_at_once(tmp_path, make):
    cache = opened(tmp_path, make)
    wrong = []

    def read():
        for position in range(COUNT):
            if not np.array_equal(cache[position], image(position)):
                wrong.append(position)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_data_digest_tells_sets_apart(karpathy_script, tmp_path):
    assert data_digest(load_scenes(3)) == data_digest(load_scenes(3))
    assert data_digest(load_scenes(3)) != data_digest(load_scenes(4))
    assert data_digest(load_scenes(3)) != data_digest(load_scenes(3, seed=1))
    root = karpathy_script.make_karpathy(tmp_path, "coco", count=2)
    before = data_digest(load_karpathy(root, preset="coco"))
    path = root / "val2014" / "COCO_val2014_000000001000.jpg"
    Image.new("RGB", (9, 9)).save(path)
    after = data_digest(load_karpathy(root, preset="coco"))
    assert before != after
    os.utime(path, ns=(0, 0))
    assert data_digest(load_karpathy(root, preset="coco")) not in (before, after)
