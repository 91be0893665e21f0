"""Builds with the bundled model: its own encoding, resumable, never stopped by a file."""

import json
import os

import jax
import numpy as np
import pytest
from PIL import Image

from reex_jax.datasets.scenes import image, load_scenes
from reex_jax.errors import UserError
from reex_jax.index import build as building
from reex_jax.index import open_index
from reex_jax.index.build import build
from reex_jax.index.encoding import embedded, embedding_devices
from reex_jax.index.entries import text_entries
from reex_jax.index.folder_entries import folder_entries
from reex_jax.index.identity import identity_of
from reex_jax.index.manifest import Manifest
from reex_jax.index.preparing import in_order
from reex_jax.index.writer import IndexWriter
from reex_jax.models.images import open_image
from reex_jax.settings.indexing import Indexing

SETTINGS = Indexing(batch_size=16, devices=1, dtype="float32", thumbnail=32)


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(6):
        Image.fromarray(image("test", 0, i)).save(folder / f"{i}.png")
    return folder


def filled(folder, out, model, settings=SETTINGS, found=None, modality="image"):
    with IndexWriter(out, Manifest(identity_of(model), modality, settings.dtype)) as writer:
        entries = folder_entries(folder) if found is None else found
        return build(writer, model, entries, settings, shown=False)


def test_embeds_as_the_model_does(scenes, tmp_path, bundled):
    (scenes / "2.txt").write_text("a scene")
    report = filled(scenes, tmp_path / "out", bundled)
    index = open_index(tmp_path / "out", bundled)
    assert report.embedded == len(index) == 6 and not report.faults
    assert list(index.ids) == [f"{i}.png" for i in range(6)] and index.captions[2] == "a scene"
    own = bundled.encode_images([open_image(scenes / f"{i}.png") for i in range(6)])
    np.testing.assert_allclose(index.embeddings, own, atol=1e-6)
    assert index.thumbnail(0).startswith(b"\xff\xd8")


def test_texts_embed_as_the_model_does(tmp_path, bundled):
    captions = load_scenes(3).captions
    (tmp_path / "t.txt").write_text("\n".join(captions))
    found = text_entries(tmp_path / "t.txt")
    filled(None, tmp_path / "out", bundled, found=found, modality="text")
    index = open_index(tmp_path / "out", bundled)
    assert index.modality == "text" and list(index.captions) == list(captions)
    np.testing.assert_allclose(index.embeddings, bundled.encode_texts(captions), atol=1e-6)


def test_only_what_is_new_or_changed_is_embedded(scenes, tmp_path, bundled):
    out = tmp_path / "out"
    filled(scenes, out, bundled)
    again = filled(scenes, out, bundled)
    assert (again.embedded, again.unchanged) == (0, 6)
    Image.fromarray(image("test", 0, 7)).save(scenes / "3.png")
    os.utime(scenes / "3.png", (9, 9))
    Image.fromarray(image("test", 0, 8)).save(scenes / "new.png")
    (scenes / "5.png").unlink()
    report = filled(scenes, out, bundled)
    assert (report.embedded, report.changed, report.unchanged, report.gone) == (2, 1, 4, 1)
    index = open_index(out)
    assert sorted(index.ids) == ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "new.png"]
    own = bundled.encode_images([Image.fromarray(image("test", 0, 7))])
    np.testing.assert_allclose(index.embeddings[index.position("3.png")], own[0], atol=1e-6)


def test_bad_files_are_listed_and_tried_again(scenes, tmp_path, bundled):
    out = tmp_path / "out"
    (scenes / "1.png").write_bytes(b"no picture")
    (scenes / "2.png").write_bytes((scenes / "2.png").read_bytes()[:300])
    Image.new("RGB", (400, 400)).save(scenes / "large.png")
    settings = Indexing(batch_size=16, devices=1, max_pixels=100_000)
    report = filled(scenes, out, bundled, settings)
    reasons = {fault.id: fault.reason for fault in report.faults}
    assert set(reasons) == {"1.png", "2.png", "large.png"} and report.embedded == 4
    assert "400x400 pixels are more than" in reasons["large.png"]
    listed = [json.loads(line) for line in (out / "faults.jsonl").read_text().splitlines()]
    assert {one["id"]: one["reason"] for one in listed} == reasons
    for name in ("1.png", "2.png", "large.png"):
        Image.fromarray(image("test", 0, 9)).save(scenes / name)
    assert filled(scenes, out, bundled, settings).embedded == 3
    assert not (out / "faults.jsonl").exists()


def test_a_repeated_id_and_one_from_elsewhere_are_listed(scenes, tmp_path, bundled):
    out = tmp_path / "out"
    entries = list(folder_entries(scenes))
    report = filled(scenes, out, bundled, found=[*entries, entries[0]])
    assert "the id was given before" in report.faults[0].reason and report.embedded == 6
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(image("test", 0, 20)).save(other / "0.png")
    assert "set build.prefix" in filled(other, out, bundled).faults[0].reason
    assert filled(other, out, bundled, found=folder_entries(other, prefix="o/")).embedded == 1


def test_a_kill_loses_only_what_was_not_written(scenes, tmp_path, bundled, monkeypatch):
    out = tmp_path / "out"
    settings = Indexing(batch_size=2, devices=1, workers=0)
    monkeypatch.setattr(building, "_ITEMS", 2)
    entries = list(folder_entries(scenes))

    class Killed(BaseException):
        pass

    def killed():
        raise Killed

    last = entries[5]
    object.__setattr__(last, "read", killed)
    with pytest.raises(Killed):
        filled(scenes, out, bundled, settings, found=entries)
    there = len(open_index(out))
    assert there >= 2
    report = filled(scenes, out, bundled, settings)
    assert (report.unchanged, report.embedded) == (there, 6 - there)
    own = bundled.encode_images([open_image(scenes / f"{i}.png") for i in range(6)])
    np.testing.assert_allclose(open_index(out).embeddings, own, atol=5e-4)


def test_nothing_to_index_is_an_error(tmp_path, bundled):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no items found"):
        filled(tmp_path / "empty", tmp_path / "out", bundled)
    (tmp_path / "empty" / "a.png").write_bytes(b"words")
    with pytest.raises(UserError, match=r"none of the 1 items can be used.* a\.png"):
        filled(tmp_path / "empty", tmp_path / "out", bundled)


def test_several_devices_give_what_one_gives(bundled):
    rng = np.random.default_rng(0)
    size = bundled.config.vision.image_size
    pixels = rng.normal(size=(7, 4, size, size, 3)).astype(np.float32)
    batches = [(i, one[: 4 - i % 2]) for i, one in enumerate(pixels)]
    alone = list(embedded(bundled, "image", batches, 4, embedding_devices(1)))
    devices = embedding_devices(3)
    assert len(set(devices)) == 3
    shared = list(embedded(bundled, "image", batches, 4, devices))
    assert [label for label, _ in shared] == list(range(7))
    for (_, one), (_, other) in zip(alone, shared, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.raises(UserError, match=f"this machine has {jax.local_device_count()}"):
        embedding_devices(99)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_values_come_in_order_and_not_too_early(workers):
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    values = in_order(lambda i: i * i, items(), workers, 4)
    assert [next(values) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 8
    assert list(values) == [i * i for i in range(3, 50)]
