"""ClipModel: golden parity, padding, pooling, precision, gradients, sharding, bad input."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from reex_jax.arrays import unit
from reex_jax.errors import UserError
from reex_jax.models.clip.checkpoint import read_model
from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
from reex_jax.models.clip.model import ClipModel, end_positions

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
END = 99

SMALL = ClipConfig(
    vision=VisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=8,
        image_size=20,
        patch_size=8,
        num_channels=2,
    ),
    text=TextConfig(
        vocab_size=100,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=12,
        eos_token_id=END,
    ),
    projection_dim=16,
)

encode_pixels = nnx.jit(ClipModel.encode_pixels)
encode_tokens = nnx.jit(ClipModel.encode_tokens)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "golden.npz") as arrays:
        names = ("images", "tokens", "image_embeds", "text_embeds")
        return {name: arrays[name] for name in names}


@pytest.fixture(scope="module")
def tiny():
    return read_model(GOLDEN / "clip_tiny")


def random_model(config, compute_dtype=jnp.float32):
    """A model whose every parameter is random, biases too (and quicker than compiling JAX's)."""
    rng = np.random.default_rng(6)
    model = nnx.eval_shape(lambda: ClipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)))
    structure, state = nnx.split(model)

    def draw(leaf):
        fan_in = leaf.shape[-2] if leaf.ndim > 1 else 4
        return jnp.asarray(rng.standard_normal(leaf.shape) / fan_in**0.5, jnp.float32)

    return nnx.merge(structure, jax.tree.map(draw, state))


@pytest.fixture(scope="module")
def small():
    return random_model(SMALL)


def some_pixels(count=3, config=SMALL.vision):
    shape = (count, config.image_size, config.image_size, config.num_channels)
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


def some_tokens(lengths, padded, padding=0):
    """Texts of these many tokens, the last being the end token, padded to one length."""
    rng = np.random.default_rng(5)
    ids = np.full((len(lengths), padded), padding, np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[: length - 1] = rng.integers(1, END, length - 1)
        row[length - 1] = END
    return ids


def test_images_equal_the_reference(tiny, golden):
    ours = encode_pixels(tiny, golden["images"].transpose(0, 2, 3, 1))
    np.testing.assert_allclose(ours, golden["image_embeds"], atol=1e-5, rtol=0)


def test_texts_equal_the_reference(tiny, golden):
    ours = encode_tokens(tiny, golden["tokens"].astype(np.int32))
    np.testing.assert_allclose(ours, golden["text_embeds"], atol=1e-5, rtol=0)


def test_golden_parity_would_notice_the_other_activation(tiny, golden):
    text = dataclasses.replace(tiny.config.text, hidden_act="gelu")
    other = random_model(dataclasses.replace(tiny.config, text=text))
    nnx.update(other, nnx.state(tiny))
    ours = encode_tokens(other, golden["tokens"].astype(np.int32))
    assert np.abs(ours - golden["text_embeds"]).max() > 1e-3


def test_padding_to_a_shorter_bucket_changes_nothing(tiny, golden):
    tokens = golden["tokens"].astype(np.int32)
    ends = end_positions(jnp.asarray(tokens), 255) + 1
    short = tokens[np.asarray(ends) <= 10]
    assert len(short) > 10
    full = encode_tokens(tiny, short)
    shorter = encode_tokens(tiny, short[:, :10])
    np.testing.assert_allclose(shorter, full, atol=1e-6, rtol=0)


@pytest.mark.parametrize("padding", [0, 7, END])
def test_what_follows_the_end_token_never_matters(small, padding):
    lengths = (2, 5, 9)
    expected = encode_tokens(small, some_tokens(lengths, 9))
    padded = encode_tokens(small, some_tokens(lengths, 12, padding))
    np.testing.assert_allclose(padded, expected, atol=1e-6, rtol=0)


def test_every_token_before_the_end_matters(small):
    ids = np.repeat(some_tokens((6,), 6), 6, axis=0)
    for position in range(5):
        ids[position, position] = ids[position, position] % 90 + 1
    embeddings = encode_tokens(small, ids)
    assert (np.abs(embeddings[:5] - embeddings[5:]).max(axis=1) > 1e-4).all()


def test_end_token_is_the_first_one_or_the_largest_id():
    ids = jnp.array([[5, 9, 3, 9, 9], [1, 2, 8, 9, 0], [2, 11, 9, 2, 0], [1, 1, 1, 1, 1]])
    assert end_positions(ids, 9).tolist() == [1, 3, 2, 0]
    assert end_positions(ids, 2).tolist() == [1, 3, 1, 0]


def test_legacy_end_token_pools_at_the_largest_id(small):
    legacy_text = dataclasses.replace(SMALL.text, eos_token_id=2)
    legacy = random_model(dataclasses.replace(SMALL, text=legacy_text))
    ids = some_tokens((4, 7), 8)
    expected = encode_tokens(small, ids)
    np.testing.assert_allclose(encode_tokens(legacy, ids), expected, atol=1e-6, rtol=0)


def test_embeddings_are_unit_float32_also_in_bfloat16(small):
    rough = random_model(SMALL, jnp.bfloat16)
    for encode, batch in (
        (encode_pixels, some_pixels()),
        (encode_tokens, some_tokens((2, 5, 9), 12)),
    ):
        exact, rounded = encode(small, batch), encode(rough, batch)
        for embeddings in (exact, rounded):
            assert embeddings.dtype == jnp.float32
            assert embeddings.shape == (3, 16)
            np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
        assert 1e-5 < np.abs(exact - rounded).max() < 0.05
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(rough))} == {jnp.dtype("float32")}


def test_unit_keeps_a_zero_vector_and_its_gradient_finite():
    assert unit(jnp.zeros(3)).tolist() == [0, 0, 0]
    assert np.isfinite(jax.grad(lambda x: unit(x).sum())(jnp.zeros(3))).all()
    np.testing.assert_allclose(unit(jnp.array([3.0, 4.0])), [0.6, 0.8], rtol=1e-6)


def test_pixels_beyond_the_last_whole_patch_are_not_looked_at(small):
    pixels = some_pixels(1)
    margin, inside = pixels.copy(), pixels.copy()
    margin[:, 16:] += 1
    margin[:, :, 16:] += 1
    inside[:, 15, 15] += 1
    expected = encode_pixels(small, pixels)
    assert np.array_equal(encode_pixels(small, margin), expected)
    assert np.abs(encode_pixels(small, inside) - expected).max() > 1e-4


def in_block_norms(path, _):
    """Select the LayerNorms of the blocks, as adaptation does."""
    return "blocks" in path and any(str(part).endswith("_norm") for part in path)


def test_layer_norms_can_be_selected_by_path(small):
    paths = {path for path, _ in nnx.to_flat_state(nnx.state(small.vision, in_block_norms))}
    assert paths == {
        ("blocks", norm, kind)
        for norm in ("attention_norm", "mlp_norm")
        for kind in ("scale", "bias")
    }
    norms = {path[0] for path, _ in nnx.to_flat_state(nnx.state(small.vision)) if "norm" in path[0]}
    assert norms == {"pre_norm", "post_norm"}


def test_gradients_of_layer_norms_skip_the_frozen_matrices(small):
    pixels = some_pixels(8)

    def gradient_flops(*filters):
        structure, moving, *frozen = nnx.split(small.vision, *filters)

        def loss(moving):
            return nnx.merge(structure, moving, *frozen)(pixels)[:, 0].sum()

        return jax.jit(jax.grad(loss)).lower(moving).cost_analysis()["flops"]

    # Forward and the way back through activations cost 1 each, gradients of matrices another 1.
    assert gradient_flops(in_block_norms, ...) < 0.75 * gradient_flops(...)


def test_training_from_scratch_lowers_the_contrastive_loss():
    # The default generator gives the same distributions, but takes seconds to compile.
    model = ClipModel(SMALL, rngs=nnx.Rngs(jax.random.key(1, impl="rbg")))
    assert float(model.logit_scale[...]) == pytest.approx(2.6592)
    query = model.vision.blocks.query.kernel[...]
    assert query.shape == (2, 32, 8, 4)
    assert np.std(query) == pytest.approx(32**-0.5, rel=0.05)
    assert not np.allclose(query[0], query[1])
    structure, state = nnx.split(model)
    pixels, ids = some_pixels(4), some_tokens((3, 5, 7, 9), 12)

    @jax.jit
    def step(state):
        def loss(state):
            model = nnx.merge(structure, state)
            logits = model.encode_pixels(pixels) @ model.encode_tokens(ids).T
            logits = logits * jnp.exp(model.logit_scale[...])
            return -jnp.mean(jnp.diag(jax.nn.log_softmax(logits)))

        value, gradient = jax.value_and_grad(loss)(state)
        return jax.tree.map(lambda p, g: p - 0.01 * g, state, gradient), value

    losses = []
    for _ in range(8):
        state, value = step(state)
        losses.append(float(value))
    assert losses[-1] < 0.7 * losses[0]


def test_heads_can_be_split_over_devices(small):
    mesh = jax.make_mesh((8,), ("heads",), axis_types=(jax.sharding.AxisType.Auto,))
    split = {"query": 2, "key": 2, "value": 2, "attention_out": 1}
    structure, state = nnx.split(small.vision)
    leaves = []
    for path, parameter in nnx.to_flat_state(state):
        axis = next((split[part] for part in path if part in split), None)
        kernel = axis is not None and path[-1] == "kernel"
        spec = PartitionSpec(*[None] * axis, "heads") if kernel else PartitionSpec()
        placed = jax.device_put(parameter[...], NamedSharding(mesh, spec))
        leaves.append((path, parameter.replace(placed)))
    sharded = nnx.merge(structure, nnx.from_flat_state(leaves))
    pixels = some_pixels()
    replicated = jax.device_put(pixels, NamedSharding(mesh, PartitionSpec()))
    ours = nnx.jit(lambda tower, x: tower(x))(sharded, replicated)
    np.testing.assert_allclose(ours, encode_pixels(small, pixels), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(3, 2, 20, 20), (3, 20, 20, 3), (3, 24, 24, 2), (20, 20, 2)])
def test_refuses_pixels_of_another_shape(small, shape):
    with pytest.raises(UserError, match=r"pixels have shape \(.*takes \[batch, 20, 20, 2\] \(ch"):
        small.encode_pixels(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.zeros((1, 13), np.int32), "length 13, but this model has 12 positions; truncate"),
        (np.zeros(5, np.int32), r"must be integers of shape \[batch, length\], not int32 of shape"),
        (np.zeros((1, 5), np.float32), "must be integers of shape .*, not float32"),
        (np.array([[1, 100]]), "range from 1 to 100, but this model's vocabulary has 100 entries"),
        (np.array([[-1, 3]]), "range from -1 to 3"),
    ],
)
def test_refuses_tokens_that_the_model_cannot_take(small, ids, message):
    with pytest.raises(UserError, match=message):
        small.encode_tokens(ids)
