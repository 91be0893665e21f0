"""The example of docs/models.md, as it stands there."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from PIL import Image
from safetensors.numpy import save_file
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from reex_jax import Adapter, load_model
from reex_jax.models import load

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
WORDS = ["[PAD]", "[UNK]", "a", "red", "blue", "circle", "square"]
CONFIG = {
    "model_type": "bag",
    "projection_dim": 8,
    "vision": {"image_size": 8, "patch_size": 4, "num_channels": 3},
    "text": {"vocab_size": len(WORDS), "max_position_embeddings": 12},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint of the page's family, which is importable as `bag` and has its line."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "bag.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(load, "FAMILIES", load.FAMILIES | {"bag": "bag:load_bag"})
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text(json.dumps(CONFIG))
    engine = tokenizers.Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, "[UNK]"))
    engine.pre_tokenizer = Whitespace()
    engine.save(str(checkpoint / "tokenizer.json"))
    rng = np.random.default_rng(0)
    tensors = {
        "patches.weight": rng.standard_normal((8, 48), np.float32),
        "words.weight": rng.standard_normal((len(WORDS), 8), np.float32),
    }
    for name in ("patches_norm", "words_norm"):
        tensors |= {f"{name}.weight": np.ones(8, np.float32)}
        tensors |= {f"{name}.bias": np.zeros(8, np.float32)}
    save_file(tensors, checkpoint / "model.safetensors")
    yield checkpoint
    sys.modules.pop("bag", None)


def test_the_example_embeds_searches_and_learns(folder):
    model = load_model(folder, precision="float32")
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 256, (9, 11, 3), np.uint8)) for _ in range(3)]
    gallery = model.encode_images(pictures)
    texts = model.encode_texts(["a red circle", "circle red a", "a blue square"])
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([gallery, texts]), axis=1), 1, 1e-5)
    np.testing.assert_allclose(texts[0], texts[1], atol=1e-6)  # a bag has no order
    adapter = Adapter(model, gallery, query="text", method="tent", learning_rate=0.1, batch_size=2)
    assert adapter.search(["a red circle", "a blue square"], k=3).indices.shape == (2, 3)
    assert np.abs(np.asarray(adapter.embed(["a red circle"])) - texts[0]).max() > 1e-3
    images = Adapter(model, texts, query="image", method="none", batch_size=3)
    np.testing.assert_allclose(np.asarray(images.embed(pictures)), gallery, atol=1e-6)
