"""BLIP's two towers for contrastive retrieval (ITC), as Hugging Face's BlipForImageTextRetrieval.

The cross-attention of the text tower and the matching head (ITM), which look at one picture and one
text together, are left out. Precision as in `clip.model`. Paths of the parameters:
`vision/blocks/...` and `text/blocks/...` hold the stacked layers, with `attention_norm` and
`mlp_norm` their LayerNorms; outside the blocks stand `vision/post_norm` and `text/embedding_norm`.
No other path contains "norm".
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Int32

from reex_jax.arrays import unit
from reex_jax.models.blip.config import BlipConfig, BlipTextConfig, BlipVisionConfig
from reex_jax.models.towers import (
    DualEncoder,
    StagedTower,
    Stream,
    at_first,
    at_read,
    behind_class,
    normal,
    patches,
    projection,
)
from reex_jax.models.transformer import layer_norm, stacked_blocks


def last_positions(ids: Int[Array, "batch length"], pad_token_id: int) -> Int32[Array, " batch"]:
    """Index of each text's last token, behind which all is padding; 0 for nothing but padding."""
    from_behind = jnp.argmax(ids[:, ::-1] != pad_token_id, axis=1)
    empty = (ids == pad_token_id).all(axis=1)
    return jnp.where(empty, 0, ids.shape[1] - 1 - from_behind).astype(jnp.int32)


class BlipVisionTower(StagedTower):
    """Pixels to unit embeddings."""

    def __init__(
        self,
        config: BlipVisionConfig,
        projection_dim: int,
        *,
        compute_dtype: np.dtype,
        rngs: nnx.Rngs,
    ) -> None:
        """Random parameters, float32."""
        width, std = config.hidden_size, config.hidden_size**-0.5
        values = config.patch_size**2 * config.num_channels
        self.config = config
        self.patch_embedding = projection(
            values, width, values**-0.5, compute_dtype, rngs, bias=True
        )
        self.class_embedding = nnx.Param(normal(rngs, (width,), std))
        self.position_embedding = nnx.Param(normal(rngs, (config.num_positions, width), std))
        self.blocks = stacked_blocks(config, compute_dtype=compute_dtype, rngs=rngs)
        self.post_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = projection(width, projection_dim, std, compute_dtype, rngs, bias=True)

    def begin(self, pixels: Float[Array, "batch height width channels"]) -> Stream:
        """Patches of pictures, already normalised, with their positions."""
        cells = self.patch_embedding(patches(pixels, self.config.patch_size)).astype(jnp.float32)
        return behind_class(cells, self.class_embedding[...], self.position_embedding[...])

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings, read at the class token."""
        return unit(self.projection(self.post_norm(at_read(stream))))


class BlipTextTower(StagedTower):
    """Token ids to unit embeddings: a BERT that sees both ways and ignores padding."""

    def __init__(
        self,
        config: BlipTextConfig,
        projection_dim: int,
        *,
        compute_dtype: np.dtype,
        rngs: nnx.Rngs,
    ) -> None:
        """Random parameters, float32."""
        width, length = config.hidden_size, config.max_position_embeddings
        self.config = config
        self.token_embedding = nnx.Param(normal(rngs, (config.vocab_size, width), 0.02))
        self.position_embedding = nnx.Param(normal(rngs, (length, width), 0.02))
        self.embedding_norm = layer_norm(width, config.layer_norm_eps)
        self.blocks = stacked_blocks(
            config, norm_first=False, compute_dtype=compute_dtype, rngs=rngs
        )
        self.projection = projection(
            width, projection_dim, width**-0.5, compute_dtype, rngs, bias=True
        )

    def begin(self, ids: Int[Array, "batch length"]) -> Stream:
        """Tokens with their positions; each text begins with the token at which it is read."""
        x = self.token_embedding[...][ids] + self.position_embedding[...][None, : ids.shape[1]]
        return at_first(x)._replace(visible=self._visible(ids))

    def enter(self, stream: Stream) -> Stream:
        """The stream as the first block takes it."""
        return stream._replace(x=self.embedding_norm(stream.x))

    def finish(self, stream: Stream) -> Float[Array, "batch dim"]:
        """The embeddings."""
        return unit(self.projection(at_read(stream)))

    def _visible(self, ids: Int[Array, "batch length"]) -> Bool[Array, "batch length"]:
        last = last_positions(ids, self.config.pad_token_id)
        return jnp.arange(ids.shape[1])[None] <= last[:, None]


class BlipModel(DualEncoder):
    """A BLIP model: two towers into one space of unit vectors.

    Attributes:
        config: its shape.
    """

    def __init__(
        self, config: BlipConfig, *, compute_dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ) -> None:
        """Random float32 parameters."""
        dtype = np.dtype(compute_dtype)
        dim = config.projection_dim
        self.config = config
        self.compute_dtype = dtype
        self.vision = BlipVisionTower(config.vision, dim, compute_dtype=dtype, rngs=rngs)
        self.text = BlipTextTower(config.text, dim, compute_dtype=dtype, rngs=rngs)
