"""CLIP's two towers in flax.nnx, in the order and precision of the Hugging Face model.

Parameters are float32; LayerNorm, softmax, the residual stream and the final normalisation are
float32; matrix products run in `compute_dtype`. Paths of the parameters (see `weights.py`):
`vision/blocks/...` and `text/blocks/...` hold the stacked layers, with `attention_norm` and
`mlp_norm` their LayerNorms; `vision/pre_norm`, `vision/post_norm` and `text/final_norm` are the
LayerNorms outside the blocks. No other path contains "norm".
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Int32

from reex_jax.arrays import unit
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, ClipConfig, TextConfig, VisionConfig
from reex_jax.models.towers import (
    DualEncoder,
    StagedTower,
    Stream,
    at_read,
    behind_class,
    normal,
    patches,
    projection,
)
from reex_jax.models.transformer import layer_norm, stacked_blocks


def end_positions(ids: Int[Array, "batch length"], eos_token_id: int) -> Int32[Array, " batch"]:
    """Index of the token that stands for each text.

    The first end token, so padding with it does no harm; the largest id where the config still
    has the legacy end token 2. Texts without an end token give 0, as in Hugging Face's model.
    """
    marks = ids if eos_token_id == LEGACY_EOS_TOKEN_ID else ids == eos_token_id
    return jnp.argmax(marks, axis=-1).astype(jnp.int32)


class VisionTower(StagedTower):
    """Pixels to unit embeddings."""

    def __init__(
        self, config: VisionConfig, projection_dim: int, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, std = config.hidden_size, config.hidden_size**-0.5
        values = config.patch_size**2 * config.num_channels
        self.config = config
        # Rows are (row in patch, column in patch, channel), the order of a reshaped NHWC image.
        self.patch_embedding = projection(values, width, values**-0.5, compute_dtype, rngs)
        self.class_embedding = nnx.Param(normal(rngs, (width,), std))
        self.position_embedding = nnx.Param(normal(rngs, (config.num_positions, width), std))
        self.pre_norm = layer_norm(width, config.layer_norm_eps)
        self.blocks = stacked_blocks(config, causal=False, compute_dtype=compute_dtype, rngs=rngs)
        self.post_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = projection(width, projection_dim, std, compute_dtype, rngs)

    def begin(self, pixels: Float[Array, "batch height width channels"]) -> Stream:
        """Patches of pictures, already normalised, with their positions."""
        cells = self.patch_embedding(patches(pixels, self.config.patch_size)).astype(jnp.float32)
        return behind_class(cells, self.class_embedding[...], self.position_embedding[...])

    def enter(self, stream: Stream) -> Stream:
        """The stream as the first block takes it."""
        return stream._replace(x=self.pre_norm(stream.x))

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings, read at the class token."""
        return unit(self.projection(self.post_norm(at_read(stream))))


class TextTower(StagedTower):
    """Token ids to unit embeddings."""

    def __init__(
        self, config: TextConfig, projection_dim: int, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, length = config.hidden_size, config.max_position_embeddings
        self.config = config
        self.token_embedding = nnx.Param(normal(rngs, (config.vocab_size, width), 0.02))
        self.position_embedding = nnx.Param(normal(rngs, (length, width), 0.01))
        self.blocks = stacked_blocks(config, causal=True, compute_dtype=compute_dtype, rngs=rngs)
        self.final_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = projection(width, projection_dim, width**-0.5, compute_dtype, rngs)

    def begin(self, ids: Int[Array, "batch length"]) -> Stream:
        """Tokens with their positions."""
        length = ids.shape[1]
        x = self.token_embedding[...][ids] + self.position_embedding[...][None, :length]
        return Stream(x, read=end_positions(ids, self.config.eos_token_id))

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings, read at the end token."""
        return unit(self.projection(self.final_norm(at_read(stream))))


class ClipModel(DualEncoder):
    """A CLIP model: two towers into one space of unit vectors.

    Attributes:
        config: its shape.
        logit_scale: natural logarithm of the factor on cosines (1 / temperature), a scalar.
    """

    def __init__(
        self, config: ClipConfig, *, compute_dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ) -> None:
        """Random float32 parameters, distributed as OpenAI's CLIP starts its training."""
        dtype = np.dtype(compute_dtype)
        dim = config.projection_dim
        self.config = config
        self.compute_dtype = dtype
        self.vision = VisionTower(config.vision, dim, compute_dtype=dtype, rngs=rngs)
        self.text = TextTower(config.text, dim, compute_dtype=dtype, rngs=rngs)
        self.logit_scale = nnx.Param(jnp.float32(config.logit_scale_init_value))
