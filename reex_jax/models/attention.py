"""Softmax attention: by plain matrix products, or by cuDNN's fused kernel where a GPU has it.

Axis letters: b batch, t and s tokens, n heads, h dimension of a head.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

_FUSED_FROM = 8.0
"""Compute capability (Ampere) from which cuDNN has the kernel."""
_WIDEST_HEAD = 128


def attend(
    query: Float[Array, "#b t n h"],
    key: Float[Array, "b s n h"],
    value: Float[Array, "b s n h"],
    *,
    causal: bool = False,
    mask: Bool[Array, "b s"] | None = None,
    precision: jax.lax.Precision,
) -> Float[Array, "b t n h"]:
    """Softmax attention; the softmax is taken in float32. `mask` is False where none may look.

    Heads go first and the products are plain batched ones: XLA's CPU code is a quarter faster
    that way for 77 tokens than with one einsum over [b, t, n, h].
    """
    query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
    logits = jnp.matmul(
        query, key.swapaxes(2, 3), precision=precision, preferred_element_type=jnp.float32
    )
    logits = logits * query.shape[-1] ** -0.5
    if causal:
        length = logits.shape[-1]
        allowed = jnp.tril(jnp.ones((length, length), bool))
        logits = jnp.where(allowed[None, None], logits, -jnp.inf)
    if mask is not None:
        logits = jnp.where(mask[:, None, None], logits, -jnp.inf)
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    return jnp.matmul(weights, value, precision=precision).swapaxes(1, 2)


def is_fused(compute_dtype: np.dtype, head: int) -> bool:
    """Whether `attend_fused` runs where a model is made: an NVIDIA GPU, in bfloat16.

    Args:
        compute_dtype: of matrix products.
        head: dimension of a head.
    """
    # Other makers' GPUs name a capability that is no number.
    capability = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    known = re.fullmatch(r"\d+\.\d+", capability) is not None
    fits = compute_dtype == jnp.bfloat16 and head % 8 == 0 and head <= _WIDEST_HEAD
    return known and float(capability) >= _FUSED_FROM and fits


def attend_fused(
    query: Float[Array, "b t n h"],
    key: Float[Array, "b t n h"],
    value: Float[Array, "b t n h"],
    *,
    causal: bool = False,
) -> Float[Array, "b t n h"]:
    """`attend` in one kernel, which keeps no array [t, t].

    The logits of a batch are the largest arrays of a layer, and the matrix units are slow where a
    side is odd, as the 197 tokens of a ViT-B/16 are. The gradient's kernel refuses those, so one
    token more is put behind them, which nobody looks at.
    """
    tokens = query.shape[1]
    lengths = None
    if tokens % 2:
        pad = ((0, 0), (0, 1), (0, 0), (0, 0))
        query, key, value = (jnp.pad(x, pad) for x in (query, key, value))
        lengths = jnp.full(query.shape[0], tokens, jnp.int32)
    mixed = jax.nn.dot_product_attention(
        query,
        key,
        value,
        is_causal=causal,
        query_seq_lengths=lengths,
        key_value_seq_lengths=lengths,
        implementation="cudnn",
    )
    return mixed[:, :tokens]
