"""What an index gives is what was put in, without reading all of it, for one model only."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.index import open_index
from reex_jax.index.identity import identity_of
from reex_jax.index.manifest import Manifest
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter


def test_gives_back_what_was_put_in(toy, make_rows):
    rows = make_rows(0, 9)
    index = open_index(toy(rows, "float32"))
    assert len(index) == 9 and index.modality == "image" and index.identity.name == "toy"
    assert list(index.ids) == [row.id for row in rows]
    assert list(index.captions) == [row.caption for row in rows]
    assert list(index.places) == [row.place for row in rows]
    np.testing.assert_array_equal(index.embeddings, [row.embedding for row in rows])
    assert [index.thumbnail(i) for i in range(9)] == [row.thumbnail or None for row in rows]
    assert index.ids[-1] == rows[-1].id and index.ids[2:4] == [rows[2].id, rows[3].id]
    assert index.position(rows[5].id) == 5
    with pytest.raises(IndexError, match="item 9 of 9"):
        index.ids[9]
    with pytest.raises(UserError, match="no item has the id 'other'"):
        index.position("other")


def test_half_floats_are_unit_vectors_to_their_precision(toy, make_rows):
    rows = make_rows(1, 50)
    index = open_index(toy(rows))
    assert index.embeddings.dtype == np.float16
    np.testing.assert_allclose(
        index.embeddings.astype(np.float32), [row.embedding for row in rows], atol=5e-4
    )


def test_no_captions_is_none(toy, unit_rows):
    assert open_index(toy([Row("a", unit_rows(0, 1)[0])])).captions is None


def test_embeddings_are_mapped_and_read_only(toy, make_rows):
    index = open_index(toy(make_rows(0, 3)))
    assert isinstance(index.embeddings, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        index.embeddings[0, 0] = 1


def test_a_hundred_thousand_items_open_in_under_a_second(toy, unit_rows):
    vectors = unit_rows(0, 100_000)
    folder = toy([Row(f"picture-{i:06d}.jpg", v, f"caption {i}") for i, v in enumerate(vectors)])
    began = time.perf_counter()
    index = open_index(folder)
    assert index.ids[99_999] == "picture-099999.jpg" and index.captions[5] == "caption 5"
    assert time.perf_counter() - began < 1


def test_the_bundled_model_has_a_name_and_another_model_is_refused(bundled, tmp_path, unit_rows):
    identity = identity_of(bundled)
    assert identity.name == "bundled" and identity.weights == bundled.sha256
    with IndexWriter(tmp_path / "own", Manifest(identity, "image", "float16")) as writer:
        writer.append([Row("a", unit_rows(0, 1, bundled.dim)[0])])
    assert open_index(tmp_path / "own", bundled).ids[0] == "a"
    changed = {"weights": "0", "files": "0", "preprocessing": "tcr", "dim": 8}
    for key, value in changed.items():
        other = replace(identity, **{key: value, "name": "other"})
        folder = tmp_path / key
        with IndexWriter(folder, Manifest(other, "image", "float16")) as writer:
            writer.append([Row("a", unit_rows(0, 1, other.dim)[0])])
        with pytest.raises(UserError, match="made with the model other, and bundled is another"):
            open_index(folder, bundled)


def test_the_files_of_a_model_count_and_its_readme_does_not(bundled, tmp_path):
    for name in ("config.json", "vocab.json"):
        (tmp_path / name).write_bytes((bundled.folder / name).read_bytes())
    model = replace(bundled, folder=tmp_path)
    object.__setattr__(model, "sha256", "0")
    first = identity_of(model)
    assert first.name == str(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert identity_of(model) == first
    (tmp_path / "vocab.json").write_text("{}")
    assert identity_of(model).files != first.files


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format=9), "has format 9, this version reads 1"),
        (lambda m: m.pop("items"), "damaged .items is missing or not int"),
        (lambda m: m.update(dtype="int8"), "dtype 'int8'"),
        (lambda m: m.update(rows="../other"), "rows '../other'"),
        (lambda m: m["model"].pop("weights"), "model.weights is missing"),
        (lambda m: m.update(items=10**9), "bytes, but 16000000000 belong there"),
        (lambda m: m.update(items=0), "holds no items yet"),
    ],
)
def test_damaged_manifests_are_named(toy, make_rows, change, words):
    folder = toy(make_rows(0, 3))
    manifest = json.loads((folder / "index.json").read_text())
    change(manifest)
    (folder / "index.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=words):
        open_index(folder)


def test_no_index_and_no_json(tmp_path):
    with pytest.raises(UserError, match=r"is missing.; build one"):
        open_index(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        open_index(tmp_path)


def test_a_missing_file_is_named(toy, make_rows):
    folder = toy(make_rows(0, 3))
    (folder / "rows-1" / "ids.ends").unlink()
    with pytest.raises(UserError, match=r"ids.ends: cannot be read"):
        open_index(folder)
