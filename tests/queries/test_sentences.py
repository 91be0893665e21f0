"""The rewrites of a run, looked up before any work."""

import pytest

from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.queries.sentences import load_sentences, sentence_kinds
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment


def test_kinds_whose_texts_come_from_the_file():
    corruptions = Corruptions(text=("swap", "formal"), severities=(1,), sentences="s.jsonl")
    experiment = Experiment(corruptions=corruptions)
    assert sentence_kinds(experiment) == ["formal"]
    assert sentence_kinds(experiment.replaced({"directions": ["image_to_text"]})) == []
    published = Data(name="tfds", root="/data", preset="coco", released_captions="/captions")
    corruptions = Corruptions(text=("formal",), severities=(1,))
    assert sentence_kinds(Experiment(data=published, corruptions=corruptions)) == []


def test_without_sentence_kinds_there_is_nothing_to_load():
    assert load_sentences(("keyboard", "word_swap"), "", load_scenes(1)) is None


def test_sentence_kinds_without_a_file():
    with pytest.raises(UserError) as error:
        load_sentences(("keyboard", "formal", "casual"), "", load_scenes(1))
    assert str(error.value).startswith(
        "corruptions.text has formal, casual, but corruptions.sentences names no file of rewritten "
        "captions; make them with `python -m reex_jax list-captions "
    )
    assert "--kinds=formal,casual " in str(error.value)
