"""SigLIP's configuration, tokenizers and what stands behind its temperature."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from reex_jax import load_model
from reex_jax.errors import UserError
from reex_jax.models.sentencepiece import sentencepiece_engine
from reex_jax.models.siglip.api import Siglip
from reex_jax.models.siglip.config import SiglipConfig
from reex_jax.models.siglip.tokenizer import canonical, load_siglip_tokenizer

FAMILIES = Path(__file__).parents[2] / "data" / "families"


def test_a_sparse_configuration_takes_the_defaults_of_transformers():
    """As in google/siglip-base-patch16-224, which names little."""
    config = SiglipConfig.from_dict({"model_type": "siglip", "text_config": {}})
    assert (config.projection_dim, config.vision.num_positions) == (768, 196)
    assert config.text.max_position_embeddings == 64
    assert config.vision.hidden_act == "gelu_pytorch_tanh"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "clip"}, "model_type 'clip', but 'siglip' is needed"),
        ({"vision_config": {"vision_use_head": False}}, "vision_use_head is False, but the embed"),
        ({"text_config": {"hidden_size": 96}}, r"texts have .* width 96 .* pictures of width 768"),
        ({"vision_config": {"hidden_act": "relu"}}, "unknown vision_config.hidden_act 'relu'"),
        ({"text_config": {"projection_size": 0}}, "projection_size must be a whole number of at"),
    ],
)
def test_other_models_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        SiglipConfig.from_dict({"model_type": "siglip"} | changes)


def test_naflex_is_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip2"}))
    with pytest.raises(UserError, match=r"'siglip2' \(the NaFlex variant of SigLIP 2.* fixed res"):
        load_model(tmp_path)


def test_the_temperature_is_that_of_the_sigmoid():
    model = load_model(FAMILIES / "siglip")
    assert isinstance(model, Siglip)
    assert math.isclose(model.temperature, math.exp(-3), rel_tol=1e-6)
    assert math.isclose(model.logit_bias, -8)
    # Two cosines whose pairs are unlikely: the odds of their sigmoids are those of the softmax.
    scores = np.array([0.1, 0.15]) / model.temperature + model.logit_bias
    sigmoids, exponentials = 1 / (1 + np.exp(-scores)), np.exp(scores)
    np.testing.assert_allclose(
        sigmoids[1] / sigmoids[0], exponentials[1] / exponentials[0], rtol=1e-2
    )


@pytest.mark.parametrize(
    ("caption", "expected"),
    [("Two RED dogs, running!", "two red dogs running"), (" a\t\n b_c ", "a bc"), ("?!", "")],
)
def test_canonical_captions(caption, expected):
    assert canonical(caption) == expected


def test_siglip_2_keeps_punctuation_and_lower_cases():
    model = load_model(FAMILIES / "siglip2")
    one, other, plain = model.tokens_of(["A CAT!", "a cat!", "a cat"])
    assert one.tolist() == other.tolist() != plain.tolist()
    first = load_model(FAMILIES / "siglip")
    one, other = first.tokens_of(["A CAT!", "a cat"])
    assert one.tolist() == other.tolist()


def test_all_texts_have_the_only_length():
    model = load_model(FAMILIES / "siglip2")
    assert model.tokens_of(["a"]).shape == (1, 64)
    rows = [model.prepare_text("a cat"), model.prepare_text("x")]
    assert model.pad_texts(rows).shape == model.pad_texts(rows, one_length=True).shape == (2, 64)


def test_what_tokenizers_must_not_ask_for(tmp_path):
    folder = shutil.copytree(FAMILIES / "siglip2", tmp_path / "left")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": "left"}))
    with pytest.raises(UserError, match="padding_side is 'left', but SigLIP reads the last"):
        load_siglip_tokenizer(folder, 64)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}))
    with pytest.raises(UserError, match=r"has no token '<end>' \(eos_token\)"):
        load_siglip_tokenizer(folder, 64)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        load_siglip_tokenizer(folder, 64)
    assert load_siglip_tokenizer(tmp_path, 64) is None


def test_a_vocabulary_of_sentencepiece_that_is_damaged(tmp_path):
    content = (FAMILIES / "siglip" / "spiece.model").read_bytes()
    file = tmp_path / "spiece.model"
    for cut in (content[:-30], b"\xff" * 40, b""):
        file.write_bytes(cut)
        with pytest.raises(UserError, match=r"spiece\.model: damaged"):
            sentencepiece_engine(file)
    # Field 3 of the trainer's settings (field 2): byte pairs.
    file.write_bytes(content + b"\x12\x02\x18\x02")
    with pytest.raises(UserError, match=r"model_type is 2, but only 1 \(unigram\)"):
        sentencepiece_engine(file)
