"""Parity of SigLIP, BLIP and OpenCLIP with PyTorch on random weights of real sizes.

Needs PyTorch, which the project itself does not. In an environment of its own:

    pip install -e . pytest torch==2.13.0
    python -m pytest -m slow tests/models/test_parity_torch.py -s

prints the largest difference of any coordinate of the unit embeddings; some minutes and 7 GB.
OpenCLIP also needs `pip install --no-deps open_clip_torch==3.3.0 ftfy`, and is skipped without.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from reex_jax import load_model

torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch==2.13.0 (CPU)")

pytestmark = [pytest.mark.slow, pytest.mark.torch]

SCRIPT = Path(__file__).parents[1] / "data" / "make_families.py"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def script():
    """The module that makes the tiny reference files."""
    pytest.importorskip("sentencepiece", reason="make_families.py needs it")
    spec = importlib.util.spec_from_file_location("make_families", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compared(name, folder, monkeypatch, script, write):
    """Writes a folder with a real size's weights and reference, and compares."""
    monkeypatch.setattr(script, "HERE", folder)
    write()
    with np.load(folder / name / "reference.npz") as file:
        expected = dict(file)
    model = load_model(folder / name, precision="float32")
    found = model.encode_pixels(expected["pixels"]), model.encode_tokens(expected["ids"])
    image, text = (
        float(np.abs(ours - expected[key]).max())
        for ours, key in zip(found, ("images", "texts"), strict=True)
    )
    print(f"\n{name}: images {image:.1e}, texts {text:.1e}")
    assert max(image, text) < TOLERANCE


def test_siglip_base(tmp_path, monkeypatch, script):
    def write():
        config = script.SiglipConfig()
        model = script.randomised(script.SiglipModel(config), 0)
        script.write("siglip", model, script.fixed_ids(config.text_config, 0))

    compared("siglip", tmp_path, monkeypatch, script, write)


def test_blip_base(tmp_path, monkeypatch, script):
    def write():
        config = script.BlipConfig(text_config={"num_attention_heads": 12})
        model = script.randomised(script.BlipForImageTextRetrieval(config), 0)
        script.write("blip", model, script.padded_ids(config.text_config, 0))

    compared("blip", tmp_path, monkeypatch, script, write)


def test_open_clip_base(tmp_path, monkeypatch, script):
    monkeypatch.setattr(sys, "meta_path", [script.StandIns(), *sys.meta_path])
    pytest.importorskip("open_clip", reason="parity with open_clip needs open_clip_torch==3.3.0")
    settings = {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
        "text_cfg": {"width": 512, "layers": 12, "context_length": 77, "vocab_size": 49408},
    }
    compared(
        "open_clip",
        tmp_path,
        monkeypatch,
        script,
        lambda: script.write_open_clip("open_clip", settings, 0),
    )
