"""Galleries on devices: copied or split, whole or half precision, grown and shrunk in place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.retrieval.part import AXIS
from reex_jax.retrieval.placing import as_one_array
from reex_jax.retrieval.rows import fingerprints, open_rows
from reex_jax.settings.gallery import GallerySettings

SIZE, WIDTH = 45, 6
HOW = [(layout, storage) for layout in ("copied", "split") for storage in ("float32", "bfloat16")]


def unit(seed, n):
    drawn = np.random.default_rng(seed).normal(size=(n, WIDTH))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def rounded(rows, storage):
    return rows.astype(jnp.bfloat16).astype(np.float32) if storage == "bfloat16" else rows


def make(rows, layout="split", storage="float32", devices=8, spare=0):
    settings = GallerySettings(layout=layout, storage=storage, spare=spare)
    return DeviceGallery(rows, jax.devices()[:devices], settings)


def copies(gallery, values):
    """One value for each item, as programs over the devices take them; what is free gets 9."""
    whole = np.pad(values, (0, gallery.places - len(values)), constant_values=9)
    parts = [jax.device_put(whole[None], device) for device in gallery._placement.devices]
    return as_one_array(parts, gallery._placement, AXIS)


def check(gallery, rows):
    """Searches like NumPy in float32."""
    queries, taken = jnp.asarray(unit(9, 5)), 0.3 * unit(8, len(rows))[:, 0]
    assert gallery.size == len(rows)
    np.testing.assert_array_equal(gallery.copy(), rows)
    some = np.array([len(rows) - 1, 0, len(rows) // 2])
    np.testing.assert_array_equal(gallery.at(some), rows[some])
    cosines = np.asarray(queries) @ rows.T
    np.testing.assert_allclose(gallery.cosines(queries), cosines, rtol=1e-5, atol=1e-6)
    for correction in (None, taken):
        wanted = cosines if correction is None else cosines - correction
        order = np.argsort(-wanted, axis=1, kind="stable")
        corrections = None if correction is None else copies(gallery, correction)
        for k in (7, len(rows)):
            scores, positions = gallery.best(queries, k, corrections)
            np.testing.assert_array_equal(positions, order[:, :k])
            at = np.take_along_axis(cosines, order[:, :k], axis=1)
            np.testing.assert_allclose(scores, at, rtol=1e-5, atol=1e-6)
        answers = np.array([[0, len(rows) - 1], [3, -1], [1, 1], [7, 2], [5, 0]], np.int32)
        both = gallery.begin_ranks(queries, answers, corrections)
        by_cosine = np.argsort(-cosines, axis=1, kind="stable")
        orders = [by_cosine] if correction is None else [by_cosine, order]
        assert len(both) == len(orders) and all(isinstance(own, jax.Array) for own in both)
        for ranks, own in zip(both, orders, strict=True):
            places = np.argsort(own, axis=1)
            for query, row in enumerate(answers):
                found = [-1 if answer < 0 else places[query, answer] for answer in row]
                np.testing.assert_array_equal(ranks[query], found)


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("layout, storage", HOW)
def test_every_layout_searches_like_numpy(layout, storage, devices):
    rows = unit(0, SIZE)
    gallery = make(rows, layout, storage, devices)
    check(gallery, rounded(rows, storage))
    own = -(-SIZE // devices) if layout == "split" else SIZE
    assert gallery.rows.shape == (devices, own, WIDTH)
    assert gallery.rows.dtype == (jnp.uint16 if storage == "bfloat16" else jnp.float32)


def test_equal_items_on_different_devices_tie_by_position():
    rows = np.tile(unit(0, 5), (9, 1))
    _, positions = make(rows).best(jnp.asarray(rows[:1]), 9)
    np.testing.assert_array_equal(positions, [range(0, 45, 5)])


@pytest.mark.parametrize("layout, storage", HOW)
def test_it_grows_and_shrinks_where_it_lies(layout, storage):
    rows = unit(0, SIZE)
    gallery = make(rows, layout, storage, devices=4, spare=7)
    places = gallery.places
    assert SIZE + 7 <= places < SIZE + 11
    buffers = [buffer.unsafe_buffer_pointer() for buffer in gallery._buffers]
    rng = np.random.default_rng(0)
    for step in range(6):
        kept = np.sort(rng.permutation(len(rows))[: len(rows) - 5]).astype(np.int32)
        gallery.keep(kept)
        more = unit(step + 20, 4)
        gallery.add(more)
        rows = np.concatenate([rows[kept], more])
    check(gallery, rounded(rows, storage))
    assert gallery.places == places
    assert [buffer.unsafe_buffer_pointer() for buffer in gallery._buffers] == buffers
    more = unit(1, 40)  # more than fit
    assert gallery.places_with(40) >= len(rows) + 47
    gallery.add(more)
    assert gallery.places == gallery.places_with(0) > places
    check(gallery, rounded(np.concatenate([rows, more]), storage))


def test_free_places_are_never_found():
    gallery = make(unit(0, 9), spare=30)
    scores, positions = gallery.best(jnp.full((2, WIDTH), jnp.nan), 9)
    np.testing.assert_array_equal(np.sort(positions, axis=1), [range(9)] * 2)
    scores, positions = gallery.best(-jnp.asarray(unit(0, 2)), 9)
    np.testing.assert_array_equal(np.sort(positions, axis=1), [range(9)] * 2)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
def test_a_file_is_read_in_pieces(kind, tmp_path, monkeypatch):
    rows = unit(0, 300).astype(kind)
    np.save(tmp_path / "rows.npy", rows)
    opened = open_rows(tmp_path / "rows.npy")
    assert isinstance(opened, np.memmap)
    monkeypatch.setattr("reex_jax.retrieval.rows.PIECE", 64)
    check(make(opened, devices=4), rows.astype(np.float32))
    np.testing.assert_array_equal(fingerprints(opened), fingerprints(rows.astype(np.float32)))


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"gallery .*rows\.npy is not there; write it with numpy\.save"),
        (b"text", r"rows\.npy is no array \(.*\); write it with numpy\.save"),
        (np.array([["a"]]), r"gallery embeddings have the type <U1; give numbers"),
        (np.array([[None]], object), r"rows\.npy is no array"),
    ],
)
def test_files_that_are_no_gallery(content, message, tmp_path):
    file = tmp_path / "rows.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(UserError, match=message):
        open_rows(str(file))


def test_prints_tell_rows_apart():
    rows = unit(0, 2000)
    swapped = rows[:, ::-1]
    everything = np.concatenate([rows, swapped, np.nextafter(rows, 2)])
    assert len(np.unique(fingerprints(everything))) == 6000
    np.testing.assert_array_equal(fingerprints(rows)[7:9], fingerprints(rows[7:9]))
