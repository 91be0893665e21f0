"""Five methods against runs of their reference implementations in PyTorch (tests/data/golden)."""

from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from reex_jax.adaptation.adapter import Adapter
from reex_jax.models.clip.api import load_clip
from reex_jax.models.clip.weights import weight_table

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
BATCH = 16
TEMPERATURES = {"tcr": 0.02}  # of the reference, in absolute terms; 0.01 for all others
# The reference names its parameters as OpenAI does.
OPENAI = (
    ("vision_model.encoder.layers", "visual.transformer.resblocks"),
    ("text_model.encoder.layers", "transformer.resblocks"),
    ("vision_model.pre_layrnorm", "visual.ln_pre"),
    ("vision_model.post_layernorm", "visual.ln_post"),
    ("layer_norm", "ln_"),
)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def clip():
    return load_clip(GOLDEN / "clip_tiny", precision="float32")


def run(clip, golden, direction, method, steps):
    """Scores [48, N] and adapted parameters {OpenAI's name: array} after the reference's stream."""
    if direction == "i2t":
        queries, gallery, query = golden["images"].transpose(0, 2, 3, 1), "text_embeds", "image"
        parameters = "layer_norms"
    else:
        queries, gallery, query = golden["tokens"].astype(np.int32), "image_embeds", "text"
        parameters = "block_layer_norms"
    settings = {"steps": steps, "parameters": parameters, "batch_size": BATCH, "devices": 1}
    settings["relative_temperature"] = TEMPERATURES.get(method, 0.01) / clip.temperature
    adapter = Adapter(clip, golden[gallery], query=query, method=method, **settings)
    order = golden[f"{direction}/order"]
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    scores = np.concatenate([adapter.similarities(queries[batch]) for batch in batches])
    tower = "vision" if query == "image" else "text"
    return scores, openai_parameters(clip, tower, adapter.state.parameters)


def openai_parameters(clip, tower, parameters):
    flat = {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(parameters)}
    named = {}
    for weight in weight_table(clip.config):
        if weight.path[0] == tower and weight.path[1:] in flat:
            for name, tensor in weight.to_file(flat[weight.path[1:]]):
                for ours, theirs in OPENAI:
                    name = name.replace(ours, theirs)
                named[name] = tensor
    return named


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("method", ["tent", "read", "shot", "sar", "tcr"])
@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_scores_and_parameters_are_the_reference_s(clip, golden, direction, method, steps):
    scores, parameters = run(clip, golden, direction, method, steps)
    prefix = f"{direction}/{method}/{steps}"
    np.testing.assert_allclose(
        scores, golden[f"{prefix}/scores"], rtol=0, atol=1e-5 if steps == 1 else 1e-4
    )
    wanted = {
        k.removeprefix(f"{prefix}/param/"): v
        for k, v in golden.items()
        if k.startswith(f"{prefix}/param/")
    }
    assert set(parameters) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(parameters[name], array, rtol=0, atol=1e-4, err_msg=name)
