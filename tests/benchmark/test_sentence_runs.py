"""Sentence kinds in a run: looked up in a file that the two commands made for these scenes."""

import hashlib
import json

import numpy as np
import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text.sentences import read_rewrites
from reex_jax.datasets.scene_sentences import rewrite_scene_caption
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.models.clip.api import load_clip
from reex_jax.queries.own import own_query
from reex_jax.queries.sentences import describe_sentences, sentence_kinds
from reex_jax.queries.source import query_source
from reex_jax.queries.streams import Stream
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment

NUM_IMAGES = 12
KINDS = ("formal", "back_translation")


@pytest.fixture(scope="module")
def data():
    return load_scenes(NUM_IMAGES)


@pytest.fixture(scope="module")
def sentences_file(data, tmp_path_factory):
    file = tmp_path_factory.mktemp("sentences") / "sentences.jsonl"
    lines = [
        {"caption_id": name, "kind": k, "original": text, "text": rewrite_scene_caption(text, k)}
        for k in SENTENCE_KINDS
        for name, text in zip(data.caption_ids, data.captions, strict=True)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


@pytest.fixture
def sentence_config(small_config, sentences_file):
    def make(results, kinds=KINDS):
        config = small_config(results, directions=("text_to_image",))
        kinds = {"image": (), "text": kinds, "severities": (1,), "sentences": str(sentences_file)}
        return config.replaced({"corruptions": kinds})

    return make


def test_queries_are_the_rewrites(data, sentences_file, sentence_config, tmp_path):
    clip = load_clip(batch_size=8)
    folder, rows = run_benchmark(sentence_config(tmp_path))
    images = clip.encode_images([data.images[i] for i in range(NUM_IMAGES)])
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        ("clean", 0),
        ("formal", 1),
        ("back_translation", 1),
    ]
    for row in rows[1:]:
        texts = [rewrite_scene_caption(caption, row["corruption"]) for caption in data.captions]
        scores = clip.encode_texts(texts) @ images.T
        right = scores[np.arange(len(texts)), data.caption_image]
        expected = (scores > right[:, np.newaxis]).sum(axis=1)
        np.testing.assert_array_equal(np.load(folder.ranks(row)), expected)
    clean, formal, _ = (np.load(folder.ranks(row)) for row in rows)
    assert not np.array_equal(clean, formal)


def test_the_result_names_the_file_and_its_content(sentences_file, sentence_config, tmp_path):
    config = sentence_config(tmp_path / "results", kinds=("casual",))
    folder, _ = run_benchmark(config)
    environment = json.loads((folder.path / "environment.json").read_text())
    digest = hashlib.sha256(sentences_file.read_bytes()).hexdigest()
    assert environment["sentences"] == {"file": "sentences.jsonl", "sha256": digest}
    # Another content under the same name is another run.
    file = tmp_path / "sentences.jsonl"
    config = config.replaced({"corruptions": {"sentences": str(file)}})
    file.write_bytes(sentences_file.read_bytes())
    first = run_benchmark(config)[0].path
    file.write_text(sentences_file.read_text("utf-8").replace("lol", "haha"), "utf-8")
    assert run_benchmark(config)[0].path != first


def test_scenes_need_no_file(data, sentence_config, tmp_path):
    """`rules` in its place: the same texts, and another run than with a file of other content."""
    with_file = run_benchmark(sentence_config(tmp_path))
    config = sentence_config(tmp_path).replaced({"corruptions": {"sentences": "rules"}})
    folder, rows = run_benchmark(config)
    assert folder.path != with_file[0].path
    assert [row["recall@1"] for row in rows] == [row["recall@1"] for row in with_file[1]]
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["sentences"]["file"] == "scene_sentences.py"
    with pytest.raises(UserError, match="'rules', but only scenes have rules"):
        config.replaced({"data": {"name": "folder", "root": "pictures"}})


def test_kinds_are_looked_up_only_where_they_are_needed():
    kinds = {"text": ("ocr", "formal", "active"), "sentences": "s.jsonl", "severities": (1,)}
    config = Experiment().replaced({"corruptions": kinds})
    assert sentence_kinds(config) == ["formal", "active"]
    published = {"name": "karpathy", "preset": "coco", "released_captions": "/captions"}
    released = config.replaced({"data": published, "corruptions": {"sentences": ""}})
    assert sentence_kinds(released) == []
    config = config.replaced({"directions": ("image_to_text",)})
    assert sentence_kinds(config) == []
    assert describe_sentences([], "no such file") is None


def test_the_small_run_of_other_kinds_reads_no_file(small_config, tmp_path):
    """Shrunk to its first kind; the file need not even exist then."""
    config = small_config(tmp_path, directions=("text_to_image",), runlocal=True)
    kinds = {"text": ("keyboard", "formal"), "severities": (1,)}
    config = config.replaced({"corruptions": kinds | {"sentences": str(tmp_path / "none.jsonl")}})
    folder, rows = run_benchmark(config)
    assert [row["corruption"] for row in rows] == ["clean", "keyboard"]
    assert json.loads((folder.path / "environment.json").read_text())["sentences"] is None


def test_a_file_that_is_missing_or_of_other_captions_is_refused(sentence_config, tmp_path):
    config = sentence_config(tmp_path / "results")
    missing = config.replaced({"corruptions": {"sentences": str(tmp_path / "none.jsonl")}})
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read \(No such file.*--kinds=for"):
        run_benchmark(missing)
    config = config.replaced({"data": {"num_images": 13}})
    with pytest.raises(
        UserError, match="no formal text for 5 of 65 captions: 'scene-test-0-000012"
    ):
        run_benchmark(config)


@pytest.mark.parametrize("cached", [False, True])
def test_every_source_of_own_queries_has_them(data, sentences_file, tmp_path, cached):
    settings = Data(cache=str(tmp_path) if cached else "")
    rewrites = read_rewrites(sentences_file)
    query = query_source(settings, data, [Stream("text_to_image", "passive", 1, 0)], rewrites)
    for seed in (0, 1):
        made = query(Stream("text_to_image", "passive", 1, seed), 7)
        assert made == rewrite_scene_caption(data.captions[7], "passive")
    swapped = Stream("text_to_image", "swap", 3, 0)
    assert query(swapped, 7) == own_query(data, swapped, 7)
    plain = query_source(settings, data, [])
    with pytest.raises(UserError, match="passive needs captions rewritten before the run; make th"):
        plain(Stream("text_to_image", "passive", 1, 0), 7)
