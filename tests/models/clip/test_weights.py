"""The table of weights is complete, and its two directions undo each other."""

from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import safe_open

from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig, read_config
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.weights import weight_table
from reex_jax.models.weights import Weight

# Every size differs from every other, so that a wrong axis shows.
ODD = ClipConfig(
    vision=VisionConfig(
        hidden_size=12,
        intermediate_size=17,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_channels=5,
        image_size=15,
        patch_size=7,
    ),
    text=TextConfig(
        vocab_size=11,
        hidden_size=20,
        intermediate_size=26,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=13,
        eos_token_id=10,
    ),
    projection_dim=6,
)


def parameters_of(config):
    state = nnx.state(nnx.eval_shape(lambda: ClipModel(config, rngs=nnx.Rngs(0))))
    return {path: parameter.shape for path, parameter in nnx.to_flat_state(state)}


def test_table_names_every_parameter_once():
    table = weight_table(ODD)
    assert sorted(weight.path for weight in table) == sorted(parameters_of(ODD))
    names = [name for weight in table for name in weight.names()]
    assert len(names) == len(set(names))


def test_table_names_every_tensor_of_a_hugging_face_checkpoint():
    golden = Path(__file__).parents[2] / "data" / "golden" / "clip_tiny"
    expected = {
        name: weight.shape
        for weight in weight_table(read_config(golden))
        for name in weight.names()
    }
    with safe_open(golden / "model.safetensors", framework="np") as tensors:
        names = tensors.keys()
        assert {name: tuple(tensors.get_slice(name).get_shape()) for name in names} == expected


def test_writing_undoes_reading():
    rng = np.random.default_rng(0)
    shapes = parameters_of(ODD)
    for weight in weight_table(ODD):
        tensors = {name: rng.standard_normal(weight.shape, np.float32) for name in weight.names()}
        parameter = weight.to_model(tensors.__getitem__, shapes[weight.path])
        written = dict(weight.to_file(parameter))
        assert written.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert written[name].shape == weight.shape
            assert np.array_equal(written[name], tensor), name


def test_heads_become_an_axis():
    # Rows of a projection are its outputs: head 0 has the first two, head 1 the last two.
    weight = Weight(("query", "kernel"), "q.{layer}", (4, 3), axes=(1, 0), layers=1)
    tensor = np.arange(12, dtype=np.float16).reshape(4, 3)
    parameter = weight.to_model({"q.0": tensor}.__getitem__, (1, 3, 2, 2))
    assert parameter.dtype == np.float32
    assert parameter[0, :, 1].tolist() == [[6, 9], [7, 10], [8, 11]]
