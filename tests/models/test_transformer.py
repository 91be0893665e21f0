"""The shared transformer against loops in NumPy."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from reex_jax.models.clip.config import TextConfig
from reex_jax.models.transformer import (
    ACTIVATIONS,
    layer_norm,
    product_precision,
    run_blocks,
    stacked_blocks,
)

CONFIG = TextConfig(
    hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=2
)


def test_activations_are_the_two_of_clip():
    x = np.linspace(-6, 6, 49)
    quick = x / (1 + np.exp(-1.702 * x))
    exact = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x]
    np.testing.assert_allclose(ACTIVATIONS["quick_gelu"](jnp.float32(x)), quick, atol=1e-6)
    np.testing.assert_allclose(ACTIVATIONS["gelu"](jnp.float32(x)), exact, atol=1e-6)


def test_layer_norm_is_exact_for_a_large_mean():
    x = 1000 + np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer_norm(64, 1e-5)(jnp.asarray(x)), expected, atol=2e-4)


def test_float32_products_are_not_rounded_on_accelerators():
    assert product_precision(np.dtype("float32")) == jax.lax.Precision.HIGHEST
    assert product_precision(jnp.dtype(jnp.bfloat16)) == jax.lax.Precision.DEFAULT


def blocks_of(layers, causal=True, norm_first=True):
    """Stacked blocks with random parameters."""
    config = dataclasses.replace(CONFIG, num_hidden_layers=layers)
    dtype, rng = np.dtype("float32"), np.random.default_rng(3)
    structure, state = nnx.split(
        nnx.eval_shape(
            lambda: stacked_blocks(
                config,
                causal=causal,
                norm_first=norm_first,
                compute_dtype=dtype,
                rngs=nnx.Rngs(0),
            )
        )
    )
    draw = lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape) / 4, jnp.float32)  # noqa: E731
    return nnx.merge(structure, jax.tree.map(draw, state))


def test_scan_applies_the_layers_in_order():
    blocks = blocks_of(3)
    structure, layers = nnx.split(blocks)
    x = jnp.asarray(np.random.default_rng(1).standard_normal((2, 5, 12)), jnp.float32)
    expected = x
    for index in range(3):
        layer = jax.tree.map(lambda leaf, index=index: leaf[index], layers)
        expected = nnx.merge(structure, layer)(expected)
    np.testing.assert_allclose(run_blocks(blocks, x), expected, atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("depth", [1, 3])
def test_reading_one_token_of_each_row_gives_what_all_of_them_give_there(
    causal, norm_first, masked, depth
):
    blocks, read = blocks_of(depth, causal, norm_first), jnp.int32([4, 0, 2])
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 5, 12)), jnp.float32)
    mask = jnp.asarray(np.arange(5) <= np.array([[4], [0], [3]])) if masked else None
    whole, found = (run_blocks(blocks, x, mask, "dots", at) for at in (None, read))
    assert found.shape == (3, 1, 12)
    np.testing.assert_allclose(found[:, 0], whole[np.arange(3), read], atol=1e-5)


def test_gradients_are_those_of_all_tokens_where_one_is_read():
    structure, layers = nnx.split(blocks_of(2))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((2, 5, 12)), jnp.float32)
    read = jnp.int32([4, 2])

    def loss(layers, x, at):
        out = run_blocks(nnx.merge(structure, layers), x, remat="dots", read=at)
        return (out[:, 0] if at is not None else out[jnp.arange(2), read]).sum()

    expected, found = (jax.grad(loss, argnums=(0, 1))(layers, x, at) for at in (None, read))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_depth_does_not_change_the_compiled_program():
    x = jnp.zeros((1, 4, 12))
    sizes = {
        len(jax.jit(run_blocks).lower(blocks_of(layers), x).as_text().splitlines())
        for layers in (2, 7)
    }
    assert len(sizes) == 1
