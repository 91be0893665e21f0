"""From an experiment's captions to the rewrites of a run, by the two commands."""

import json
from pathlib import Path

import pytest

from reex_jax.benchmark import list_captions
from reex_jax.corruptions.text import rewrite as sentences
from reex_jax.corruptions.text.kinds import SENTENCE_KINDS, corrupt_text
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.queries.sentences import load_sentences

SCENES = str(Path(__file__).parents[2] / "experiments" / "scenes_c.py")


def listed(out, *arguments):
    list_captions.main(["list_captions", f"--config={SCENES}", f"--out={out}", *arguments])
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_scenes_from_the_experiment_to_queries(tmp_path, capsys):
    data = load_scenes(3)
    captions, out = tmp_path / "captions.jsonl", tmp_path / "sentences.jsonl"
    assert listed(captions, "--config.data.num_images=3") == [
        {"caption_id": name, "caption": caption}
        for name, caption in zip(data.caption_ids, data.captions, strict=True)
    ]
    assert f"wrote 15 captions of scenes to {captions}" in capsys.readouterr().out
    rules = "--rewriter=reex_jax.datasets.scene_sentences:rule_rewriter"
    sentences.main([f"--captions={captions}", f"--out={out}", rules])

    rewrites = load_sentences(("keyboard", *SENTENCE_KINDS), str(out), data)
    for kind in SENTENCE_KINDS:
        for name, caption in zip(data.caption_ids, data.captions, strict=True):
            text = corrupt_text(caption, kind, 1, item_id=name, seed=0, sentences=rewrites)
            assert text.strip() and text != caption

    with pytest.raises(UserError, match=r"no formal text for 5 of 20 captions: 'scene-test-0-0000"):
        load_sentences(("formal",), str(out), load_scenes(4))


def test_runlocal_lists_the_captions_of_the_small_run(tmp_path):
    assert len(listed(tmp_path / "c", "--config.runlocal=True")) == 5 * 50


def test_without_sentence_kinds_there_is_nothing_to_load():
    assert load_sentences(("keyboard", "word_swap"), "", load_scenes(1)) is None


def test_sentence_kinds_without_a_file():
    with pytest.raises(UserError) as error:
        load_sentences(("keyboard", "formal", "casual"), "", load_scenes(1))
    assert str(error.value).startswith(
        "corruptions.text has formal, casual, but corruptions.sentences names no file of rewritten "
        "captions; make them with `python -m reex_jax.benchmark.list_captions "
    )
    assert "--kinds=formal,casual " in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"--config={SCENES}"], r"^--out names no file\. Usage: python -m reex_jax\.benchmark"),
        ([f"--config={SCENES}", "--out=x", "--quite"], "Unknown command line flag 'quite'"),
        (["--config=none.py", "--out=x"], "no configuration file 'none.py'"),
        (
            [f"--config={SCENES}", "--out=x", "--config.data.split=no"],
            "unknown value of data.split",
        ),
        ([f"--config={SCENES}", "--out=no/folder/x"], "no/folder/x: cannot be written"),
    ],
)
def test_what_the_list_refuses(arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        list_captions.main(["list_captions", *arguments])
