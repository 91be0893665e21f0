"""From an experiment's captions to the rewrites of a run."""

import json
import sys
import types

import pytest

from reex_jax.commands.list_captions import write_captions
from reex_jax.commands.rewrite import rewrite_file
from reex_jax.corruptions.text.kinds import SENTENCE_KINDS, corrupt_text
from reex_jax.corruptions.text.sentence_prompts import PROMPT_VERSION
from reex_jax.corruptions.text.sentences import read_rewrites
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.queries.sentences import load_sentences
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment


def listed(out, **settings):
    write_captions(Experiment(**settings), out)
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_scenes_from_the_experiment_to_queries(tmp_path, capsys):
    data = load_scenes(3)
    captions, out = tmp_path / "captions.jsonl", tmp_path / "sentences.jsonl"
    assert listed(captions, data=Data(num_images=3)) == [
        {"caption_id": name, "caption": caption}
        for name, caption in zip(data.caption_ids, data.captions, strict=True)
    ]
    assert f"wrote 15 captions of scenes to {captions}" in capsys.readouterr().out
    rewrite_file(captions, out, "reex_jax.datasets.scene_sentences:rule_rewriter")

    rewrites = load_sentences(("keyboard", *SENTENCE_KINDS), str(out), data)
    for kind in SENTENCE_KINDS:
        for name, caption in zip(data.caption_ids, data.captions, strict=True):
            text = corrupt_text(caption, kind, 1, item_id=name, seed=0, sentences=rewrites)
            assert text.strip() and text != caption

    with pytest.raises(UserError, match=r"no formal text for 5 of 20 captions: 'scene-test-0-0000"):
        load_sentences(("formal",), str(out), load_scenes(4))


def test_runlocal_lists_the_captions_of_the_small_run(tmp_path):
    assert len(listed(tmp_path / "c", runlocal=True)) == 5 * 50


def test_a_list_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="no/folder/x: cannot be written"):
        write_captions(Experiment(data=Data(num_images=1)), tmp_path / "no/folder/x")


@pytest.fixture
def module(monkeypatch):
    """A module that a command line can name."""
    made = types.ModuleType("fake_rewriter")
    made.build = lambda kind, mark="!": lambda instruction, captions: [c + mark for c in captions]
    monkeypatch.setitem(sys.modules, "fake_rewriter", made)


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_text('{"caption_id": "1", "caption": "a dog"}\n')
    return path


def test_a_rewriter_of_the_users_own(captions, tmp_path, module, capsys):
    out = tmp_path / "sentences.jsonl"
    kinds = ("active", " passive", "active")
    rewrite_file(captions, out, "fake_rewriter:build", '{"mark": "?"}', kinds)
    assert f"wrote 2 texts to {out}, 0 were there; 0 are" in capsys.readouterr().out
    rewrites = read_rewrites(out)
    assert rewrites.text("passive", "1", "a dog") == "a dog?"
    assert rewrites.texts["active", "1"].made_by == (
        PROMPT_VERSION,
        'fake_rewriter:build {"mark": "?"}',
    )


@pytest.mark.parametrize(
    ("rewriter", "arguments", "message"),
    [
        ("no_such:thing", "", "--rewriter=no_such:thing: cannot be loaded (No mod"),
        ("fake_rewriter:none", "", "cannot be loaded (module 'fake_rewriter' has no attr"),
        ("", "", "--rewriter=: cannot be loaded ("),
        ("fake_rewriter:build", '{"x": 1}', "--rewriter=fake_rewriter:build with {'x': 1}: "),
        ("fake_rewriter:build", "{", "--rewriter_args is no JSON ("),
        ("fake_rewriter:build", "[]", "must be a JSON object, not '[]'"),
    ],
)
def test_a_rewriter_that_cannot_be_made(captions, tmp_path, module, rewriter, arguments, message):
    out = tmp_path / "o"
    with pytest.raises(UserError) as error:
        rewrite_file(captions, out, rewriter, arguments)
    assert message in str(error.value)
    assert not out.exists() or not out.read_text()
