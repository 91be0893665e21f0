"""Parity with Hugging Face's PyTorch CLIPModel on random weights of the real architectures.

Needs PyTorch, which the project itself does not. In an environment of its own:

    pip install -e . pytest torch==2.13.0
    python -m pytest -m slow tests/clip/test_parity_torch.py -s

prints the largest difference of any coordinate of the unit embeddings; about two minutes and 7 GB.
"""

import json
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from transformers import CLIPConfig, CLIPModel

from reex_jax.models.clip import model as clip_model
from reex_jax.models.clip.checkpoint import read_model, save_model

torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch==2.13.0 (CPU)")

pytestmark = [pytest.mark.slow, pytest.mark.torch]

TOLERANCE = 2e-5
LARGE_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
LARGE_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
SMALL_TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3}
SMALL_VISION = {"hidden_size": 96, "intermediate_size": 128, "image_size": 50, "patch_size": 12}

ARCHITECTURES = {
    "ViT-B/32": {},
    "ViT-B/16": {"vision_config": {"patch_size": 16}},
    "ViT-L/14": {"vision_config": LARGE_VISION, "text_config": LARGE_TEXT, "projection_dim": 768},
    # What the real ones do not have: exact GELU, five channels, a margin, the legacy end token.
    "odd": {
        "vision_config": SMALL_VISION | {"num_channels": 5, "hidden_act": "gelu"},
        "text_config": SMALL_TEXT | {"hidden_act": "gelu", "eos_token_id": 2},
        "projection_dim": 40,
    },
}

encode_pixels = nnx.jit(clip_model.ClipModel.encode_pixels)
encode_tokens = nnx.jit(clip_model.ClipModel.encode_tokens)


def random_torch_model(architecture):
    """A CLIPModel whose biases and norms are random too, and whose activations matter."""
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(**ARCHITECTURES[architecture])).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif ".fc" in name or "_proj" in name:
                parameter.mul_(2)
    return model


def some_inputs(model):
    """Three images [3, c, h, w], and texts [3, 77] with an end token at different places."""
    vision, text = model.config.vision_config, model.config.text_config
    rng = np.random.default_rng(1)
    shape = (3, vision.num_channels, vision.image_size, vision.image_size)
    end = text.vocab_size - 1
    ids = rng.integers(3, end, (3, text.max_position_embeddings))
    for row, length in zip(ids, (4, 12, 77), strict=True):
        row[length - 1 :] = end
    return rng.standard_normal(shape).astype(np.float32), ids


def torch_embeddings(model, pixels, ids):
    with torch.no_grad():
        output = model(pixel_values=torch.from_numpy(pixels), input_ids=torch.from_numpy(ids))
    return output.image_embeds.numpy(), output.text_embeds.numpy()


def our_embeddings(model, pixels, ids):
    images = encode_pixels(model, jnp.asarray(pixels.transpose(0, 2, 3, 1)))
    return np.asarray(images), np.asarray(encode_tokens(model, jnp.asarray(ids, jnp.int32)))


def largest_differences(ours, theirs):
    return [float(np.abs(mine - other).max()) for mine, other in zip(ours, theirs, strict=True)]


def with_other_activation(folder):
    """Change hidden_act in the folder's config.json, of both towers."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    for tower in ("vision_config", "text_config"):
        quick = config[tower]["hidden_act"] == "quick_gelu"
        config[tower]["hidden_act"] = "gelu" if quick else "quick_gelu"
    file.write_text(json.dumps(config))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_embeddings_equal_those_of_pytorch(architecture):
    theirs = random_torch_model(architecture)
    inputs = some_inputs(theirs)
    expected = torch_embeddings(theirs, *inputs)
    # Not tmp_path: pytest keeps that, and ViT-L/14 is 1.7 GB.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        theirs.save_pretrained(folder)
        del theirs
        image, text = largest_differences(our_embeddings(read_model(folder), *inputs), expected)
        with_other_activation(folder)
        wrong = largest_differences(our_embeddings(read_model(folder), *inputs), expected)
    print(f"\n{architecture}: images {image:.1e}, texts {text:.1e}, other activation {wrong}")
    assert max(image, text) < TOLERANCE
    assert min(wrong) > 20 * TOLERANCE, "the inputs would not notice a wrong activation"


@pytest.mark.parametrize("architecture", ["ViT-B/32", "odd"])
def test_what_we_save_loads_in_pytorch(architecture):
    theirs = random_torch_model(architecture)
    inputs = some_inputs(theirs)
    with tempfile.TemporaryDirectory() as temporary:
        original, saved = Path(temporary, "original"), Path(temporary, "saved")
        theirs.save_pretrained(original)
        model = read_model(original)
        save_model(model, saved)
        again, report = CLIPModel.from_pretrained(saved, output_loading_info=True)
    assert not any(report.values()), report
    for (name, before), (same_name, after) in zip(
        theirs.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert name == same_name
        assert torch.equal(before, after), name
    differences = largest_differences(
        our_embeddings(model, *inputs), torch_embeddings(again.eval(), *inputs)
    )
    assert max(differences) < TOLERANCE
