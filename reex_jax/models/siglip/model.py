"""SigLIP's two towers in flax.nnx, in the order and precision of the Hugging Face model.

Precision as in `clip.model`. Paths of the parameters: `vision/blocks/...` and `text/blocks/...`
hold the stacked layers, with `attention_norm` and `mlp_norm` their LayerNorms; outside the blocks
stand `vision/post_norm`, `vision/pooling/mlp_norm` (of the head) and `text/final_norm`. No other
path contains "norm".
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from reex_jax.arrays import unit
from reex_jax.models.attention import attend
from reex_jax.models.siglip.config import SiglipConfig, SiglipTextConfig, SiglipVisionConfig
from reex_jax.models.towers import (
    DualEncoder,
    StagedTower,
    Stream,
    at_read,
    normal,
    patches,
    projection,
)
from reex_jax.models.transformer import (
    ACTIVATIONS,
    layer_norm,
    linear_layers,
    product_precision,
    stacked_blocks,
)


class AttentionPooling(nnx.Module):
    """One learned query looks at all patches; an MLP with a LayerNorm follows ("MAP head")."""

    def __init__(
        self, config: SiglipVisionConfig, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, heads = config.hidden_size, config.num_attention_heads
        per_head, std = (heads, width // heads), width**-0.5
        linear = linear_layers(compute_dtype, rngs)
        self.probe = nnx.Param(normal(rngs, (width,), std))
        self.query = linear(width, per_head, std)
        self.key = linear(width, per_head, std)
        self.value = linear(width, per_head, std)
        self.attention_out = linear(per_head, width, std)
        self.mlp_norm = layer_norm(width, config.layer_norm_eps)
        self.mlp_in = linear(width, config.intermediate_size, std)
        self.mlp_out = linear(config.intermediate_size, width, std)
        self.hidden_act = config.hidden_act
        self.precision = product_precision(compute_dtype)

    def __call__(self, x: Float[Array, "batch patches width"]) -> Float[Array, "batch width"]:
        """The pooled stream, float32."""
        mixed = attend(
            self.query(self.probe[...][None, None]),
            self.key(x),
            self.value(x),
            precision=self.precision,
        )
        pooled = self.attention_out(mixed).astype(jnp.float32)[:, 0]
        hidden = ACTIVATIONS[self.hidden_act](self.mlp_in(self.mlp_norm(pooled)))
        return pooled + self.mlp_out(hidden).astype(jnp.float32)


class SiglipVisionTower(StagedTower):
    """Pixels to unit embeddings."""

    def __init__(
        self, config: SiglipVisionConfig, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, std = config.hidden_size, config.hidden_size**-0.5
        values = config.patch_size**2 * config.num_channels
        self.config = config
        self.patch_embedding = projection(
            values, width, values**-0.5, compute_dtype, rngs, bias=True
        )
        self.position_embedding = nnx.Param(normal(rngs, (config.num_positions, width), std))
        self.blocks = stacked_blocks(config, compute_dtype=compute_dtype, rngs=rngs)
        self.post_norm = layer_norm(width, config.layer_norm_eps)
        self.pooling = AttentionPooling(config, compute_dtype=compute_dtype, rngs=rngs)

    def begin(self, pixels: Float[Array, "batch height width channels"]) -> Stream:
        """Patches of pictures, already normalised, with their positions."""
        x = self.patch_embedding(patches(pixels, self.config.patch_size)).astype(jnp.float32)
        return Stream(x + self.position_embedding[...][None])

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings, pooled from all patches."""
        return unit(self.pooling(self.post_norm(stream.x)))


class SiglipTextTower(StagedTower):
    """Token ids to unit embeddings."""

    def __init__(
        self,
        config: SiglipTextConfig,
        projection_dim: int,
        *,
        compute_dtype: np.dtype,
        rngs: nnx.Rngs,
    ) -> None:
        """Random parameters, float32."""
        width, length = config.hidden_size, config.max_position_embeddings
        self.config = config
        self.token_embedding = nnx.Param(normal(rngs, (config.vocab_size, width), 0.02))
        self.position_embedding = nnx.Param(normal(rngs, (length, width), 0.01))
        self.blocks = stacked_blocks(config, compute_dtype=compute_dtype, rngs=rngs)
        self.final_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = projection(
            width, projection_dim, width**-0.5, compute_dtype, rngs, bias=True
        )

    def begin(self, ids: Int[Array, "batch length"]) -> Stream:
        """Tokens with their positions."""
        positions = self.position_embedding[...][None, : ids.shape[1]]
        last = jnp.full(len(ids), ids.shape[1] - 1, jnp.int32)
        return Stream(self.token_embedding[...][ids] + positions, read=last)

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings, read at the last position, which in a short text is padding."""
        return unit(self.projection(self.final_norm(at_read(stream))))


class SiglipModel(DualEncoder):
    """A SigLIP model: two towers into one space of unit vectors.

    A pair matches with probability sigmoid(exp(logit_scale) cosine + logit_bias).

    Attributes:
        config: its shape.
        logit_scale: natural logarithm of the factor on cosines, a scalar.
        logit_bias: a scalar; the order of a ranking does not depend on it.
    """

    fixed_length = True

    def __init__(
        self, config: SiglipConfig, *, compute_dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ) -> None:
        """Random float32 parameters."""
        dtype = np.dtype(compute_dtype)
        self.config = config
        self.compute_dtype = dtype
        self.vision = SiglipVisionTower(config.vision, compute_dtype=dtype, rngs=rngs)
        self.text = SiglipTextTower(
            config.text, config.projection_dim, compute_dtype=dtype, rngs=rngs
        )
        self.logit_scale = nnx.Param(jnp.float32(2.3))
        self.logit_bias = nnx.Param(jnp.float32(-10))
