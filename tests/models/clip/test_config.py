"""ClipConfig against transformers' CLIPConfig, and what it refuses."""

import copy
import dataclasses
import json

import pytest
from transformers import CLIPConfig

from reex_jax.errors import UserError
from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig, read_config

# The essential parts of openai/clip-vit-large-patch14's config.json, which has every oddity.
LEGACY = {
    "architectures": ["CLIPModel"],
    "logit_scale_init_value": 2.6592,
    "model_type": "clip",
    "projection_dim": 768,
    "text_config": {
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-6,
        "num_attention_heads": 12,
        "id2label": {"0": "LABEL_0"},
        "model_type": "clip_text_model",
    },
    "text_config_dict": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "torch_dtype": "float32",
    "vision_config": {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24},
    "vision_config_dict": None,
}


def same_as_transformers(ours, hf_dict):
    """Whether every field of ours has the value that transformers reads from the same file."""
    # transformers writes into the nested dictionaries it is given.
    theirs = CLIPConfig.from_dict(copy.deepcopy(hf_dict)).to_dict()
    for tower in ("vision", "text"):
        section = theirs[f"{tower}_config"]
        for name, value in dataclasses.asdict(getattr(ours, tower)).items():
            assert value == section[name], f"{tower}.{name}"
    assert ours.projection_dim == theirs["projection_dim"]
    assert ours.logit_scale_init_value == theirs["logit_scale_init_value"]


@pytest.mark.parametrize(
    "hf_dict",
    [
        pytest.param({"model_type": "clip"}, id="all defaults"),
        pytest.param(LEGACY, id="legacy dicts replace sections"),
        pytest.param(LEGACY | {"text_config_dict": None}, id="legacy end token"),
        pytest.param({"model_type": "clip", "text_config": None}, id="null section"),
        pytest.param({"text_config": {"hidden_act": "gelu"}}, id="no model type"),
        pytest.param(
            {
                "model_type": "clip",
                "projection_dim": 24,
                "logit_scale_init_value": 3,
                "vision_config": {"num_channels": 1, "image_size": 30, "patch_size": 7},
                "text_config": {"layer_norm_eps": 1e-6, "projection_dim": 99},
            },
            id="odd sizes",
        ),
    ],
)
def test_reads_what_transformers_reads(hf_dict):
    same_as_transformers(ClipConfig.from_dict(hf_dict), hf_dict)


def test_legacy_end_token_is_kept_where_no_dict_replaces_it():
    assert ClipConfig.from_dict(LEGACY | {"text_config_dict": None}).text.eos_token_id == 2
    assert ClipConfig.from_dict(LEGACY).text.eos_token_id == 49407


def test_written_config_comes_back():
    config = ClipConfig(
        vision=VisionConfig(hidden_size=96, num_attention_heads=4, num_channels=5, image_size=33),
        text=TextConfig(vocab_size=300, eos_token_id=299, hidden_act="gelu", pad_token_id=None),
        projection_dim=48,
        logit_scale_init_value=3.5,
    )
    written = json.loads(json.dumps(config.to_dict()))
    assert ClipConfig.from_dict(written) == config
    same_as_transformers(config, written)
    assert written["architectures"] == ["CLIPModel"]


def test_positions_follow_the_patches():
    assert VisionConfig(image_size=224, patch_size=16).num_positions == 197
    assert VisionConfig(image_size=30, patch_size=7).num_positions == 17


@pytest.mark.parametrize(
    ("hf_dict", "message"),
    [
        ({"model_type": "siglip"}, "model_type 'siglip', but only 'clip' is supported; give a"),
        ({"model_type": "blip"}, "model_type 'blip', but only 'clip' is supported"),
        ({"model_type": "clip_text_model"}, "give a CLIP checkpoint with both towers"),
        ({}, "no model_type, but only 'clip' is supported"),
        (
            {"text_config": {"hidden_size": 100, "num_attention_heads": 12}},
            "text_config: hidden_size 100 is not divisible by num_attention_heads 12",
        ),
        (
            {"vision_config": {"image_size": 16, "patch_size": 32}},
            "vision_config: image_size 16 is smaller than patch_size 32",
        ),
        (
            {"vision_config": {"image_size": [224, 224]}},
            r"vision_config: image_size must be a whole number of at least 1, not \[224, 224\]",
        ),
        ({"text_config": {"num_hidden_layers": 0}}, "num_hidden_layers must be .* not 0"),
        ({"text_config": {"vocab_size": True}}, "vocab_size must be a whole number .* not True"),
        (
            {"text_config": {"vocab_size": 256}},
            r"eos_token_id 49407 is not an entry of the vocabulary \(vocab_size 256\)",
        ),
        ({"text_config": {"eos_token_id": [1, 2]}}, r"eos_token_id must be .* not \[1, 2\]"),
        ({"text_config": {"eos_token_id": None}}, "eos_token_id must be a whole number, not None"),
        (
            {"text_config": {"hidden_act": "gelu_new"}},
            "unknown text_config.hidden_act 'gelu_new'; .* allowed: gelu, quick_gelu",
        ),
        ({"vision_config": {"hidden_act": None}}, "unknown vision_config.hidden_act None"),
        (
            {"vision_config": {"layer_norm_eps": 0}},
            "vision_config: layer_norm_eps must be a positive number, not 0",
        ),
        ({"vision_config": 7}, "vision_config must be an object of config keys, not 7"),
        ({"model_type": "clip", "projection_dim": "512"}, "config: projection_dim must be a whole"),
        (
            {"model_type": "clip", "logit_scale_init_value": None},
            "config: logit_scale_init_value must be a number, not None",
        ),
    ],
)
def test_refuses(hf_dict, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(hf_dict))
    with pytest.raises(UserError, match=f"config.json: .*{message}"):
        read_config(tmp_path)


def test_refuses_files_that_hold_no_config(tmp_path):
    with pytest.raises(UserError, match=r"absent: no such folder; give a folder with config.json"):
        read_config(tmp_path / "absent")
    with pytest.raises(UserError, match=r"config.json: not found; a checkpoint folder in Hugging"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip",')
    with pytest.raises(
        UserError, match=r"config.json: cannot be read as JSON .*fetch the file anew"
    ):
        read_config(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"config.json: cannot be read as JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"config.json: expected a JSON object, found list"):
        read_config(tmp_path)


@pytest.mark.parametrize("tower", ["text_config", "vision_config"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("num_hidden_layers", 10**8), ("intermediate_size", 2**40), ("hidden_size", 10**400)],
)
def test_impossible_sizes_are_refused_at_once(tower, name, value):
    with pytest.raises(UserError, match=rf"{tower}: {name} is \d+.*; no model has more than \d+"):
        ClipConfig.from_dict({"model_type": "clip", tower: {name: value}})
