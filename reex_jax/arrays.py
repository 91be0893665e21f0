"""Small functions of arrays that models, retrieval, fusion and adaptation share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cosines(
    queries: Float[Array, "batch dim"], items: Float[Array, "items dim"]
) -> Float[Array, "batch items"]:
    """Products of all unit rows, in float32 also where GPUs and TPUs would round their inputs."""
    return jnp.matmul(queries, items.T, precision=jax.lax.Precision.HIGHEST)


def unit(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """Scales the last axis to length 1, in float32; a zero vector stays zero."""
    x = x.astype(jnp.float32)
    squares = jnp.sum(x * x, axis=-1, keepdims=True)
    # A floor of 1e-12 on the length, as torch's normalize; a smaller one overflows the gradient.
    return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


def log_softmax_at(
    similarities: Float[Array, "*axes"], temperature: Float[Array, ""] | float
) -> Float[Array, "*axes"]:
    """log softmax(similarities / temperature) over the last axis."""
    return jax.nn.log_softmax(similarities / temperature, axis=-1)


def entropy(log_probabilities: Float[Array, "*axes last"]) -> Float[Array, "*axes"]:
    """-sum p log p over the last axis, in nats; log-probabilities of -inf count 0."""
    finite = jnp.isfinite(log_probabilities)
    safe = jnp.where(finite, log_probabilities, 0.0)
    return -jnp.where(finite, jnp.exp(safe) * safe, 0.0).sum(axis=-1)
