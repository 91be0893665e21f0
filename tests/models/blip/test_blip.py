"""BLIP's configuration, tokenizer and preprocessing."""

import json
import shutil
from pathlib import Path

import pytest

from reex_jax import load_model
from reex_jax.errors import UserError
from reex_jax.models.blip.api import Blip
from reex_jax.models.blip.config import BlipConfig
from reex_jax.models.blip.tokenizer import load_blip_tokenizer

FAMILIES = Path(__file__).parents[2] / "data" / "families"


def test_a_sparse_configuration_takes_the_defaults_of_transformers():
    config = BlipConfig.from_dict({"model_type": "blip", "architectures": None})
    assert (config.projection_dim, config.vision.image_size) == (256, 384)
    assert config.vision.num_positions == 577 and config.text.layer_norm_eps == 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architectures": ["BlipForConditionalGeneration"]},
            r"only BlipForImageTextRetrieval has pictures and texts in one space, such as Sales",
        ),
        ({"model_type": "clip"}, "model_type 'clip' with architectures"),
        ({"text_config": {"pad_token_id": 99999}}, "pad_token_id 99999 is not an entry"),
        ({"image_text_hidden_size": 0}, "projection_dim must be a whole number of at least 1"),
        ({"vision_config": {"image_size": 8}}, "image_size 8 is smaller than patch_size 16"),
    ],
)
def test_other_models_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        BlipConfig.from_dict({"model_type": "blip"} | changes)


def test_the_temperature_is_that_of_tcrs_protocol():
    model = load_model(FAMILIES / "blip")
    assert isinstance(model, Blip) and model.temperature == 0.01


def test_captions_are_cut_at_35_tokens():
    model = load_model(FAMILIES / "blip")
    row = model.prepare_text("cat " * 50)
    assert len(row) == 35 and row[0] == 2 and row[-1] == 3
    assert model.pad_texts([row, row[:3]], one_length=True).shape == (2, 35)


def test_captions_as_tcr_and_blip_clean_them():
    model = load_model(FAMILIES / "blip", preprocessing="tcr")
    assert model.mode == "tcr"
    one, other = model.tokens_of(
        ["Two RED dogs; running. (On the beach!)", "two red dogs running on the beach"]
    )
    assert one.tolist() == other.tolist()


def test_a_vocabulary_as_text_gives_the_same_ids(tmp_path):
    folder = FAMILIES / "blip"
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    shutil.copy(folder / "tokenizer_config.json", tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n")
    captions = json.loads((folder / "captions.json").read_text())["captions"]
    one, other = load_blip_tokenizer(folder, 40), load_blip_tokenizer(tmp_path, 40)
    assert one.encode(captions) == other.encode(captions)
    (tmp_path / "vocab.txt").unlink()
    assert load_blip_tokenizer(tmp_path, 40) is None


def test_a_picture_must_be_squashed_to_the_models_size(tmp_path):
    folder = shutil.copytree(FAMILIES / "blip", tmp_path / "blip")
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    for changes, message in (
        (
            {"size": {"height": 48, "width": 48}},
            "size is 48x48, but config.json says image_size 24",
        ),
        ({"do_center_crop": True}, "do_center_crop is true, but this model's preprocessing squas"),
        ({"resample": 0}, r"resample is 0; known are 2 \(bilinear\) and 3 \(bicubic\)"),
    ):
        file.write_text(json.dumps(settings | changes))
        with pytest.raises(UserError, match=message):
            load_model(folder)
