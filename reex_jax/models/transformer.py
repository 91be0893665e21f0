"""The transformer that all towers share, its layers stacked and scanned.

Every parameter of the blocks carries the layer as its first axis, and the heads are an axis of
their own, so a mesh can split either. Axis letters below: b batch, t and s tokens, w width,
n heads, h dimension of a head, m width of the MLP, l layers.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from reex_jax.errors import unknown
from reex_jax.models.attention import attend, attend_fused, is_fused
from reex_jax.settings.choices import PRECISIONS


@runtime_checkable  # the tests check annotations
class Layers(Protocol):
    """What the blocks need to know of a tower's configuration."""

    @property
    def hidden_size(self) -> int:
        """Width of the stream."""

    @property
    def intermediate_size(self) -> int:
        """Width inside the MLP."""

    @property
    def num_hidden_layers(self) -> int:
        """How many blocks."""

    @property
    def num_attention_heads(self) -> int:
        """Heads; they divide the width."""

    @property
    def hidden_act(self) -> str:
        """A key of ACTIVATIONS."""

    @property
    def layer_norm_eps(self) -> float:
        """Added to the variance."""


def layer_norm(width: int, eps: float) -> nnx.LayerNorm:
    """LayerNorm over the last axis, computed in float32 whatever the input's dtype.

    The two-pass variance costs little and keeps float32 parity with PyTorch where the mean is
    large against the deviation.
    """
    return nnx.LayerNorm(
        width,
        epsilon=eps,
        dtype=jnp.float32,
        param_dtype=jnp.float32,
        use_fast_variance=False,
        rngs=nnx.Rngs(0),  # unused: LayerNorm starts with ones and zeros
    )


def product_precision(compute_dtype: np.dtype) -> jax.lax.Precision:
    """Precision of matrix products: float32 means float32, also where TF32 would be quicker."""
    if compute_dtype == jnp.float32:
        return jax.lax.Precision.HIGHEST
    return jax.lax.Precision.DEFAULT


def compute_dtype(precision: str) -> Any:
    """The dtype of matrix products for a precision: "auto", "float32" or "bfloat16".

    Raises:
        UserError: another name.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(precision)


def quick_gelu(x: jax.Array) -> jax.Array:
    """x * sigmoid(1.702 x): OpenAI's approximation of GELU (any shape and float dtype)."""
    return x * jax.nn.sigmoid(1.702 * x)


def exact_gelu(x: jax.Array) -> jax.Array:
    """x * Phi(x) with the error function, as PyTorch's GELU (any shape and float dtype)."""
    return jax.nn.gelu(x, approximate=False)


def tanh_gelu(x: jax.Array) -> jax.Array:
    """GELU through the hyperbolic tangent, as big_vision's (any shape and float dtype)."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "quick_gelu": quick_gelu,
    "gelu": exact_gelu,
    "gelu_pytorch_tanh": tanh_gelu,
}


def linear_layers(
    compute_dtype: np.dtype, rngs: nnx.Rngs, *, bias: bool = True
) -> Callable[..., nnx.LinearGeneral]:
    """Makes linear layers whose inputs or outputs may be heads, [n, h].

    Returns:
        (inputs, outputs, deviation of the weights) -> a layer, its parameters float32.
    """

    def linear(
        inputs: int | tuple[int, int], outputs: int | tuple[int, int], std: float
    ) -> nnx.LinearGeneral:
        return nnx.LinearGeneral(
            inputs,
            outputs,
            axis=(-2, -1) if isinstance(inputs, tuple) else -1,
            use_bias=bias,
            kernel_init=nnx.initializers.normal(std),
            dtype=compute_dtype,
            param_dtype=jnp.float32,
            precision=product_precision(compute_dtype),
            rngs=rngs,
        )

    return linear


class Block(nnx.Module):
    """One layer: attention and MLP, each with a LayerNorm, added to the float32 stream.

    Initial deviations are those of OpenAI's CLIP (`initialize_parameters`).
    """

    def __init__(
        self,
        config: Layers,
        *,
        causal: bool = False,
        norm_first: bool = True,
        compute_dtype: np.dtype,
        rngs: nnx.Rngs,
    ) -> None:
        """Random parameters of one layer, float32.

        Args:
            config: the shape.
            causal: whether a token sees only those before it, and itself.
            norm_first: whether a LayerNorm stands before attention and MLP, or behind the sum of
                their result and the stream (BERT).
            compute_dtype: of matrix products.
            rngs: of the parameters.
        """
        width, heads = config.hidden_size, config.num_attention_heads
        per_head = (heads, width // heads)
        residual_std = width**-0.5 * (2 * config.num_hidden_layers) ** -0.5
        linear = linear_layers(compute_dtype, rngs)
        self.attention_norm = layer_norm(width, config.layer_norm_eps)
        self.query = linear(width, per_head, width**-0.5)
        self.key = linear(width, per_head, width**-0.5)
        self.value = linear(width, per_head, width**-0.5)
        self.attention_out = linear(per_head, width, residual_std)
        self.mlp_norm = layer_norm(width, config.layer_norm_eps)
        self.mlp_in = linear(width, config.intermediate_size, (2 * width) ** -0.5)
        self.mlp_out = linear(config.intermediate_size, width, residual_std)
        self.hidden_act = config.hidden_act
        self.causal = causal
        self.norm_first = norm_first
        self.precision = product_precision(compute_dtype)
        self.fused = is_fused(compute_dtype, width // heads)

    def __call__(
        self,
        x: Float[Array, "b t w"],
        mask: Bool[Array, "b t"] | None = None,
        read: Int[Array, " b"] | None = None,
    ) -> Float[Array, "b out w"]:
        """The stream behind this layer, float32: [b, t, w], or [b, 1, w] where `read` says which.

        Args:
            x: the stream before it.
            mask: False for tokens that no other may look at.
            read: the one token of each row that is wanted. All others are only looked at, so the
                MLP and three of the four products of attention need not run for them.
        """
        seen = self.attention_norm(x) if self.norm_first else x
        if read is not None:
            mask = self._seen_from(read, x.shape[1], mask)
            x = token_at(x, read)
        causal = self.causal and read is None
        mixed = self._attention(token_at(seen, read), seen, mask, causal)
        if self.norm_first:
            x = x + mixed
            return x + self._mlp(self.mlp_norm(x))
        x = self.attention_norm(x + mixed)
        return self.mlp_norm(x + self._mlp(x))

    def _attention(
        self,
        x: Float[Array, "b out w"],
        seen: Float[Array, "b t w"],
        mask: Bool[Array, "b t"] | None,
        causal: bool,
    ) -> Float[Array, "b out w"]:
        parts = self.query(x), self.key(seen), self.value(seen)
        if self.fused and mask is None and x.shape == seen.shape:
            mixed = attend_fused(*parts, causal=causal)
        else:
            mixed = attend(*parts, causal=causal, mask=mask, precision=self.precision)
        return self.attention_out(mixed).astype(jnp.float32)

    def _seen_from(
        self, read: Int[Array, " b"], tokens: int, mask: Bool[Array, "b t"] | None
    ) -> Bool[Array, "b t"] | None:
        """What one token of each row looks at."""
        if not self.causal:
            return mask
        before = jnp.arange(tokens)[None] <= read[:, None]
        return before if mask is None else before & mask

    def _mlp(self, x: Float[Array, "b t w"]) -> Float[Array, "b t w"]:
        hidden = ACTIVATIONS[self.hidden_act](self.mlp_in(x))
        return self.mlp_out(hidden).astype(jnp.float32)


def stacked_blocks(
    config: Layers,
    *,
    causal: bool = False,
    norm_first: bool = True,
    compute_dtype: np.dtype,
    rngs: nnx.Rngs,
) -> Block:
    """All layers as one Block whose every parameter has a leading layer axis [l, ...]."""

    @nnx.split_rngs(splits=config.num_hidden_layers)
    @nnx.vmap
    def create(rngs: nnx.Rngs) -> Block:
        return Block(
            config, causal=causal, norm_first=norm_first, compute_dtype=compute_dtype, rngs=rngs
        )

    return create(rngs)


def run_blocks(
    blocks: Block,
    x: Float[Array, "b t w"],
    mask: Bool[Array, "b t"] | None = None,
    remat: str = "none",
    read: Int[Array, " b"] | None = None,
) -> Float[Array, "b out w"]:
    """Apply stacked layers in order, float32: [b, t, w], or [b, 1, w] where `read` says which.

    The scan compiles one layer whatever the depth; derivatives of parameters that the caller does
    not differentiate are never computed.

    Args:
        blocks: how many there are, the leading axis of their parameters says.
        x: the residual stream.
        mask: False for tokens that no other may look at.
        remat: what a gradient keeps of the forward pass: "none" computes nothing again, "dots"
            keeps the products with weights and computes the cheap rest again.
    """
    structure, layers = nnx.split(blocks)

    def layer(x: jax.Array, own: Any, read: jax.Array | None) -> jax.Array:
        return nnx.merge(structure, own)(x, mask, read)

    if remat == "dots":
        policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        layer = jax.checkpoint(layer, policy=policy, prevent_cse=False)  # a scan needs no barrier

    def step(carry: jax.Array, own: Any) -> tuple[jax.Array, None]:
        return layer(carry, own, None), None

    if read is None:
        return jax.lax.scan(step, x, layers)[0]
    x = jax.lax.scan(step, x, jax.tree.map(lambda a: a[:-1], layers))[0]
    return layer(x, jax.tree.map(lambda a: a[-1], layers), read)


def token_at(x: Float[Array, "b t w"], read: Int[Array, " b"] | None) -> Float[Array, "b out w"]:
    """The token at place `read` of each row, [b, 1, w]; all without `read`."""
    return x if read is None else jnp.take_along_axis(x, read[:, None, None], axis=1)
