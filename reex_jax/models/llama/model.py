"""A causal language model of the Llama family that reads trees of texts.

As transformers' LlamaForCausalLM: RMSNorm before attention and MLP, rotary positions (Su et al.,
RoFormer, eq. 34, in the halves of a head that Hugging Face's files are ordered for), queries in
groups that share keys and values, SwiGLU. RMSNorm, rotary positions, softmax and the residual
stream are float32, products take `compute_dtype`.

A row is no text but a forest of tokens in depth-first order: texts that begin alike share their
tokens. A token sees its ancestors and itself, and its position is its depth. So a token has the
state that it would have in its text alone, whatever else the row holds.

Axis letters: b rows, t and s tokens, w width, k key heads, g queries for each of them, h dimension
of a head, m width of the MLP, v vocabulary, l layers.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int32

from reex_jax.models.llama.config import LlamaConfig
from reex_jax.models.transformer import linear_layers, product_precision

_AT_ONCE = 256  # tokens whose logits over the vocabulary exist at the same time


class Forest(NamedTuple):
    """Rows of tokens in depth-first order.

    Attributes:
        ids: the tokens.
        depths: how many ancestors each has.
        ends: the place behind its last descendant, so at least its own place + 1.
        parents: the place of the token that it follows; its own for one that begins a text.
    """

    ids: Int32[Array, "b t"]
    depths: Int32[Array, "b t"]
    ends: Int32[Array, "b t"]
    parents: Int32[Array, "b t"]


class Context(NamedTuple):
    """What all layers need to know of a row.

    Attributes:
        visible: which token (t) sees which (s).
        cos, sin: of the angles by which positions turn the pairs of a head.
    """

    visible: Bool[Array, "b t s"]
    cos: Float[Array, "b t half"]
    sin: Float[Array, "b t half"]


def context_of(forest: Forest, head_dim: int, theta: float) -> Context:
    """Descent and angles: position · theta^(-2 i / h) for the pair i of a head."""
    places = jnp.arange(forest.ids.shape[1], dtype=jnp.int32)
    behind = places[None, :, None] >= places[None, None, :]
    visible = behind & (places[None, :, None] < forest.ends[:, None, :])
    rates = theta ** (-np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    angles = forest.depths[..., None].astype(jnp.float32) * jnp.asarray(rates)[None, None]
    return Context(visible, jnp.cos(angles), jnp.sin(angles))


def turned(
    x: Float[Array, "b t n h"], cos: Float[Array, "b t half"], sin: Float[Array, "b t half"]
) -> Float[Array, "b t n h"]:
    """Heads with their pairs (i, i + h/2) turned by the position's angles, in float32."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cos, sin = cos[:, :, None], sin[:, :, None]
    whole = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return whole.astype(x.dtype)


def rms_norm(width: int, eps: float) -> nnx.RMSNorm:
    """x / sqrt(mean(x²) + eps) · scale, in float32 whatever the input's dtype."""
    return nnx.RMSNorm(
        width, epsilon=eps, dtype=jnp.float32, param_dtype=jnp.float32, rngs=nnx.Rngs(0)
    )


class LlamaBlock(nnx.Module):
    """One layer."""

    def __init__(self, config: LlamaConfig, *, compute_dtype: np.dtype, rngs: nnx.Rngs) -> None:
        """Random parameters, float32."""
        width, inner, std = config.hidden_size, config.intermediate_size, config.hidden_size**-0.5
        queries = (config.num_attention_heads, config.head_dim)
        keys = (config.num_key_value_heads, config.head_dim)
        linear = linear_layers(compute_dtype, rngs, bias=False)
        self.attention_norm = rms_norm(width, config.rms_norm_eps)
        self.query = linear(width, queries, std)
        self.key = linear(width, keys, std)
        self.value = linear(width, keys, std)
        self.attention_out = linear(queries, width, std)
        self.mlp_norm = rms_norm(width, config.rms_norm_eps)
        self.mlp_gate = linear(width, inner, std)
        self.mlp_in = linear(width, inner, std)
        self.mlp_out = linear(inner, width, inner**-0.5)
        self.precision = product_precision(compute_dtype)

    def __call__(self, x: Float[Array, "b t w"], context: Context) -> Float[Array, "b t w"]:
        """The stream behind this layer, float32."""
        x = x + self._attention(self.attention_norm(x), context).astype(jnp.float32)
        normed = self.mlp_norm(x)
        hidden = jax.nn.silu(self.mlp_gate(normed)) * self.mlp_in(normed)
        return x + self.mlp_out(hidden).astype(jnp.float32)

    def _attention(self, x: Float[Array, "b t w"], context: Context) -> Float[Array, "b t w"]:
        query = turned(self.query(x), context.cos, context.sin)
        key = turned(self.key(x), context.cos, context.sin)
        batch, tokens, heads, head = query.shape
        keys = key.shape[2]
        groups = (batch, keys, heads // keys, tokens)
        query = query.reshape(batch, tokens, keys, -1, head).transpose(0, 2, 3, 1, 4)
        # The queries of a group stand one behind the other: plain products, no copy of keys.
        logits = jnp.matmul(
            query.reshape(batch, keys, -1, head),
            key.transpose(0, 2, 3, 1),
            precision=self.precision,
            preferred_element_type=jnp.float32,
        ).reshape(*groups, tokens)
        logits = jnp.where(context.visible[:, None, None], logits * head**-0.5, -jnp.inf)
        weights = jax.nn.softmax(logits, axis=-1).astype(query.dtype)
        mixed = jnp.matmul(
            weights.reshape(batch, keys, -1, tokens),
            self.value(x).swapaxes(1, 2),
            precision=self.precision,
        )
        mixed = mixed.reshape(*groups, head).transpose(0, 3, 1, 2, 4)
        return self.attention_out(mixed.reshape(batch, tokens, heads, head))


class LlamaModel(nnx.Module):
    """A causal language model.

    Attributes:
        config: its shape.
    """

    def __init__(self, config: LlamaConfig, *, compute_dtype: Any, rngs: nnx.Rngs) -> None:
        """Random parameters, float32."""
        dtype = np.dtype(compute_dtype)
        shape = (config.vocab_size, config.hidden_size)
        normal = nnx.initializers.normal(0.02)

        @nnx.split_rngs(splits=config.num_hidden_layers)
        @nnx.vmap
        def stacked(rngs: nnx.Rngs) -> LlamaBlock:
            return LlamaBlock(config, compute_dtype=dtype, rngs=rngs)

        self.config = config
        self.compute_dtype = dtype
        self.token_embedding = nnx.Param(normal(rngs.params(), shape, jnp.float32))
        self.blocks = stacked(rngs)
        self.last_norm = rms_norm(config.hidden_size, config.rms_norm_eps)
        tied = config.tie_word_embeddings
        self.head = None if tied else nnx.Param(normal(rngs.params(), shape, jnp.float32))

    def __call__(self, forest: Forest) -> Float[Array, "b t"]:
        """The log probability of each token behind its ancestors, float32; 0 where it has none."""
        x = self.token_embedding[...][forest.ids].astype(jnp.float32)
        context = context_of(forest, self.config.head_dim, self.config.rope_theta)
        structure, layers = nnx.split(self.blocks)

        def step(x: jax.Array, layer: Any) -> tuple[jax.Array, None]:
            return nnx.merge(structure, layer)(x, context), None

        states = self.last_norm(jax.lax.scan(step, x, layers)[0])
        logs = self._logs(states, forest)
        return jnp.where(forest.depths > 0, logs, 0.0)

    def _logs(self, states: Float[Array, "b t w"], forest: Forest) -> Float[Array, "b t"]:
        """Logit of each token at its parent, less the parent's logarithm of all (log Z)."""
        head = (self.token_embedding if self.head is None else self.head)[...]
        head, states = head.astype(self.compute_dtype), states.astype(self.compute_dtype)
        precision = product_precision(self.compute_dtype)

        def log_totals(states: Float[Array, "c w"]) -> Float[Array, " c"]:
            logits = jnp.matmul(
                states, head.T, precision=precision, preferred_element_type=jnp.float32
            )
            return jax.nn.logsumexp(logits, axis=-1)

        chunk = math.gcd(states.shape[0] * states.shape[1], _AT_ONCE)
        totals = jax.lax.map(log_totals, states.reshape(-1, chunk, states.shape[-1]))
        before = jnp.take_along_axis(states, forest.parents[..., None], axis=1)
        logits = jnp.einsum(
            "btw,btw->bt",
            before,
            head[forest.ids],
            precision=precision,
            preferred_element_type=jnp.float32,
        )
        totals = jnp.take_along_axis(totals.reshape(forest.ids.shape), forest.parents, axis=1)
        return logits - totals
