"""Attention against a loop in NumPy, the fused kind through XLA where no GPU is at hand."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.models.attention import attend, attend_fused, is_fused

DEVICES = {
    "H200": ("9.0", jnp.bfloat16, 64, True),
    "in float32": ("9.0", jnp.float32, 64, False),
    "a head of 4": ("9.0", jnp.bfloat16, 4, False),
    "a head of 256": ("9.0", jnp.bfloat16, 256, False),
    "T4": ("7.5", jnp.bfloat16, 64, False),
    "AMD": ("gfx90a", jnp.bfloat16, 64, False),
    "TPU": (None, jnp.bfloat16, 64, False),
}


def softmax_loop(query, key, value, causal):
    """Attention [b, t, n, h] in float64, one query token at a time."""
    result = np.zeros_like(query, np.float64)
    batch, length, heads, dim = query.shape
    for b, t, n in np.ndindex(batch, length, heads):
        seen = t + 1 if causal else length
        logits = np.array([query[b, t, n] @ key[b, s, n] for s in range(seen)]) / math.sqrt(dim)
        weights = np.exp(logits - logits.max())
        result[b, t, n] = (weights / weights.sum()) @ value[b, :seen, n]
    return result


@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_a_loop(causal):
    rng = np.random.default_rng(0)
    query, key, value = 2 * rng.standard_normal((3, 2, 5, 3, 4))
    ours = attend(
        *(jnp.float32(part) for part in (query, key, value)),
        causal=causal,
        precision=jax.lax.Precision.HIGHEST,
    )
    np.testing.assert_allclose(ours, softmax_loop(query, key, value, causal), atol=2e-6)


def test_softmax_is_float32_in_bfloat16_attention():
    query = jnp.ones((1, 2, 1, 4), jnp.bfloat16)
    text = str(
        jax.make_jaxpr(lambda q: attend(q, q, q, causal=True, precision=jax.lax.Precision.DEFAULT))(
            query
        )
    )
    exponentials = [line for line in text.splitlines() if "= exp" in line]
    assert exponentials
    assert all(":f32[" in line for line in exponentials)


@pytest.mark.parametrize("name", DEVICES)
def test_only_nvidia_gpus_from_ampere_on_fuse(monkeypatch, name):
    capability, dtype, head, expected = DEVICES[name]
    device = (
        SimpleNamespace() if capability is None else SimpleNamespace(compute_capability=capability)
    )
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert is_fused(jnp.dtype(dtype), head) is expected


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tokens", [6, 7])
def test_fused_attention_of_odd_and_even_lengths_equals_a_loop(monkeypatch, tokens, causal):
    whole, lengths = jax.nn.dot_product_attention, []

    def by_xla(query, key, value, *, implementation, **settings):
        assert implementation == "cudnn"
        lengths.append(query.shape[1])
        return whole(query, key, value, implementation="xla", **settings)

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    parts = 2 * np.random.default_rng(0).standard_normal((3, 2, tokens, 3, 8))
    found = attend_fused(*(jnp.float32(part) for part in parts), causal=causal)
    np.testing.assert_allclose(found, softmax_loop(*parts, causal), atol=1e-5)
    assert [length % 2 for length in lengths] == [0]  # else the gradient's kernel refuses


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("tokens", [16, 197])
def test_fused_attention_and_its_gradient_on_a_gpu(tokens):
    parts = np.random.default_rng(0).standard_normal((3, 4, tokens, 2, 64))
    query, key, value = (jnp.asarray(part, jnp.bfloat16) for part in parts)

    def gradient(how):
        return jax.grad(lambda *x: (how(*x).astype(jnp.float32) ** 2).sum(), argnums=(0, 1, 2))

    def plain(q, k, v):
        return attend(q, k, v, precision=jax.lax.Precision.DEFAULT)

    for one, other in ((attend_fused, plain), (gradient(attend_fused), gradient(plain))):
        found, expected = (jax.tree.leaves(how(query, key, value)) for how in (one, other))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.float32(a), np.float32(b), atol=0.06, rtol=0.06)
