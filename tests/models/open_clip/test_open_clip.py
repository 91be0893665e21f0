"""open_clip's layout: its configuration, what of it is refused, and its preprocessing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reex_jax import Clip, load_model
from reex_jax.errors import UserError
from reex_jax.models import folders
from reex_jax.models.clip.checkpoint import save_model
from reex_jax.models.open_clip.config import OpenClipConfig

FAMILIES = Path(__file__).parents[2] / "data" / "families"
FILE = "open_clip_config.json"

VIT_H_14 = {
    "model_cfg": {
        "embed_dim": 1024,
        "vision_cfg": {
            "image_size": 224,
            "layers": 32,
            "width": 1280,
            "head_width": 80,
            "patch_size": 14,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 1024,
            "heads": 16,
            "layers": 24,
        },
    },
    "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
}


def with_changes(**changes):
    """The configuration of ViT-H/14 with keys such as vision_cfg__pool_type changed."""
    config = json.loads(json.dumps(VIT_H_14))
    for path, value in changes.items():
        *parents, key = ("model_cfg", *path.split("__"))
        target = config
        for parent in parents:
            target = target[parent]
        target[key] = value
    return config


def test_a_published_configuration():
    clip = OpenClipConfig.from_dict(VIT_H_14).clip
    assert clip.projection_dim == 1024
    assert (clip.vision.num_attention_heads, clip.vision.intermediate_size) == (16, 5120)
    assert (clip.text.num_attention_heads, clip.text.intermediate_size) == (16, 4096)
    assert clip.vision.hidden_act == clip.text.hidden_act == "gelu"
    quick = OpenClipConfig.from_dict(with_changes(quick_gelu=True)).clip
    assert quick.vision.hidden_act == quick.text.hidden_act == "quick_gelu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"vision_cfg__timm_model_name": "vit_base_patch16_siglip_224"},
            r"'vit_base_patch16_siglip_224': towers of timm .*google/siglip-base-patch16-224",
        ),
        ({"vision_cfg__timm_model_name": "convnext_base"}, "towers of timm are not supported"),
        ({"text_cfg__hf_model_name": "roberta-base"}, "text towers of transformers are not supp"),
        ({"vision_cfg__layers": [3, 4, 6, 3]}, "ResNets are not supported, only ViT"),
        ({"multimodal_cfg": {}}, "CoCa is not supported"),
        ({"vision_cfg__pool_type": "avg"}, "vision_cfg.pool_type is 'avg', which is not supported"),
        ({"vision_cfg__no_ln_pre": True}, "vision_cfg.no_ln_pre is True"),
        ({"text_cfg__no_causal_mask": True}, "text_cfg.no_causal_mask is True"),
        ({"text_cfg__pool_type": "last"}, "text_cfg.pool_type is 'last'; known are 'argmax' and"),
        ({"vision_cfg__rope": True}, "vision_cfg.rope is not known, so the model may be another"),
        ({"vision_cfg__act_kwargs": {"approximate": "tanh"}}, "vision_cfg.act_kwargs is"),
        ({"vision_cfg__image_size": [224, 448]}, "only squares are supported"),
        ({"vision_cfg__norm_kwargs": {"eps": 1e-6, "bias": False}}, "known is only eps"),
        ({"vision_cfg__head_width": 0}, "holds no heads of head_width 0"),
        ({"vision_cfg": 3}, "vision_cfg must be an object of keys, not 3"),
    ],
)
def test_other_models_are_refused_by_name(changes, message):
    with pytest.raises(UserError, match=message):
        OpenClipConfig.from_dict(with_changes(**changes))


def test_it_is_a_clip_which_can_be_saved_as_one(tmp_path):
    model = load_model(FAMILIES / "open_clip", precision="float32")
    assert isinstance(model, Clip) and len(model.sha256) == 64
    save_model(model.model, tmp_path)
    again = load_model(tmp_path, precision="float32")
    with np.load(FAMILIES / "open_clip" / "reference.npz") as expected:
        np.testing.assert_array_equal(
            again.encode_pixels(expected["pixels"]), model.encode_pixels(expected["pixels"])
        )


def test_hugging_faces_layout_comes_first(tmp_path):
    folder = shutil.copytree(FAMILIES / "open_clip", tmp_path / "both")
    assert folders.is_open_clip(folder)
    save_model(load_model(folder).model, folder)
    assert not folders.is_open_clip(folder)
    assert [file.name for file in folders.weight_files(folder)] == ["model.safetensors"]


def test_pickled_weights_are_refused(tmp_path):
    shutil.copy(FAMILIES / "open_clip" / FILE, tmp_path)
    with pytest.raises(UserError, match=r"open_clip_model\.safetensors: not found"):
        load_model(tmp_path)
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"pickled weights are refused.*open_clip_model\.safetens"):
        load_model(tmp_path)


def test_pictures_are_cropped_or_squashed_as_the_file_says(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 60, 3), np.uint8))
    cropped = load_model(FAMILIES / "open_clip").preprocessing
    squashed = load_model(FAMILIES / "open_clip_custom").preprocessing
    assert (cropped.squash, cropped.short_side) == (False, 24) and squashed.squash
    model = load_model(FAMILIES / "open_clip_custom")
    expected = np.asarray(picture.resize((20, 20), Image.Resampling.BICUBIC), np.float32) / 255
    found = model.prepare_image(picture) * np.array(squashed.std) + np.array(squashed.mean)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    folder = shutil.copytree(FAMILIES / "open_clip", tmp_path / "changed")
    for key, message in (("interpolation", "lanczos"), ("resize_mode", "longest")):
        config = json.loads((FAMILIES / "open_clip" / FILE).read_text())
        config["preprocess_cfg"][key] = message
        (folder / FILE).write_text(json.dumps(config))
        with pytest.raises(UserError, match=rf"unknown preprocess_cfg\.{key} '{message}'"):
            load_model(folder)


def test_the_hub_is_asked_for_the_second_layout_only_where_needed(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(hub_id, revision=None, allow_patterns=()):
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(folders.huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(folders.huggingface_hub, "list_repo_files", lambda *a, **k: [])
    shutil.copy(FAMILIES / "open_clip" / FILE, tmp_path)
    with pytest.raises(UserError, match=r"someone/open-clip at revision main: holds no model"):
        folders.find_checkpoint("someone/open-clip")
    asked.clear()
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")
    folders.find_checkpoint("someone/open-clip")
    assert asked == [folders.HUB_PATTERNS, folders.OPEN_CLIP_PATTERNS]
    asked.clear()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    folders.find_checkpoint("someone/open-clip")
    assert asked == [folders.HUB_PATTERNS]
