"""CLIP's two towers in flax.nnx, in the order and precision of the Hugging Face model.

Parameters are float32; LayerNorm, softmax, the residual stream and the final normalisation are
float32; matrix products run in `compute_dtype`. Paths of the parameters (see `weights.py`):
`vision/blocks/...` and `text/blocks/...` hold the stacked layers, with `attention_norm` and
`mlp_norm` their LayerNorms; `vision/pre_norm`, `vision/post_norm` and `text/final_norm` are the
LayerNorms outside the blocks. No other path contains "norm".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Int32

from reex_jax.arrays import unit
from reex_jax.errors import UserError
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, ClipConfig, TextConfig, VisionConfig
from reex_jax.models.clip.transformer import (
    layer_norm,
    product_precision,
    run_blocks,
    stacked_blocks,
)
from reex_jax.models.two_tower import Tower


def is_layer_norm(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower is scale or bias of a LayerNorm."""
    return any("norm" in str(part) for part in path)


def in_blocks(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower stands inside its blocks."""
    return "blocks" in path


def before_blocks(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower stands before its blocks."""
    return "pre_norm" in path or any("embedding" in str(part) for part in path)


def end_positions(ids: Int[Array, "batch length"], eos_token_id: int) -> Int32[Array, " batch"]:
    """Index of the token that stands for each text.

    The first end token, so padding with it does no harm; the largest id where the config still
    has the legacy end token 2. Texts without an end token give 0, as in Hugging Face's model.
    """
    marks = ids if eos_token_id == LEGACY_EOS_TOKEN_ID else ids == eos_token_id
    return jnp.argmax(marks, axis=-1).astype(jnp.int32)


class VisionTower(nnx.Module):
    """Pixels to unit embeddings."""

    def __init__(
        self, config: VisionConfig, projection_dim: int, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, std = config.hidden_size, config.hidden_size**-0.5
        values = config.patch_size**2 * config.num_channels
        self.config = config
        # Rows are (row in patch, column in patch, channel), the order of a reshaped NHWC image.
        self.patch_embedding = _projection(values, width, values**-0.5, compute_dtype, rngs)
        self.class_embedding = nnx.Param(_normal(rngs, (width,), std))
        self.position_embedding = nnx.Param(_normal(rngs, (config.num_positions, width), std))
        self.pre_norm = layer_norm(width, config.layer_norm_eps)
        self.blocks = stacked_blocks(config, causal=False, compute_dtype=compute_dtype, rngs=rngs)
        self.post_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = _projection(width, projection_dim, std, compute_dtype, rngs)

    def __call__(
        self, pixels: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch dim"]:
        """Embeds pictures, already normalised."""
        return self.finish(self.run(self.enter(self.begin(pixels))))

    def begin(
        self, pixels: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch tokens features"]:
        """Patches with their positions: what no LayerNorm has touched yet."""
        patches = self.patch_embedding(_patches(pixels, self.config)).astype(jnp.float32)
        batch, _, width = patches.shape
        classes = jnp.broadcast_to(self.class_embedding[...], (batch, 1, width))
        return jnp.concatenate([classes, patches], axis=1) + self.position_embedding[...][None]

    def enter(
        self, x: Float[Array, "batch tokens features"]
    ) -> Float[Array, "batch tokens features"]:
        """The stream as the first block takes it."""
        return self.pre_norm(x)

    def run(
        self, x: Float[Array, "batch tokens features"], remat: str = "none"
    ) -> Float[Array, "batch tokens features"]:
        """The stream behind the blocks; `remat` as in `run_blocks`."""
        return run_blocks(self.blocks, x, remat)

    def finish(self, x: Float[Array, "batch tokens features"]) -> Float[Array, "batch dim"]:
        """The embeddings."""
        return unit(self.projection(self.post_norm(x[:, 0])))


class TextStream(NamedTuple):
    """Texts on their way through the tower.

    Attributes:
        x: the residual stream.
        ends: which token stands for each text.
    """

    x: Float[Array, "batch length features"]
    ends: Int32[Array, " batch"]


class TextTower(nnx.Module):
    """Token ids to unit embeddings."""

    def __init__(
        self, config: TextConfig, projection_dim: int, *, compute_dtype: np.dtype, rngs: nnx.Rngs
    ) -> None:
        """Random parameters, float32."""
        width, length = config.hidden_size, config.max_position_embeddings
        self.config = config
        self.token_embedding = nnx.Param(_normal(rngs, (config.vocab_size, width), 0.02))
        self.position_embedding = nnx.Param(_normal(rngs, (length, width), 0.01))
        self.blocks = stacked_blocks(config, causal=True, compute_dtype=compute_dtype, rngs=rngs)
        self.final_norm = layer_norm(width, config.layer_norm_eps)
        self.projection = _projection(width, projection_dim, width**-0.5, compute_dtype, rngs)

    def __call__(self, ids: Int[Array, "batch length"]) -> Float[Array, "batch dim"]:
        """Embeds texts."""
        return self.finish(self.run(self.enter(self.begin(ids))))

    def begin(self, ids: Int[Array, "batch length"]) -> TextStream:
        """Tokens with their positions: what no LayerNorm has touched yet."""
        length = ids.shape[1]
        x = self.token_embedding[...][ids] + self.position_embedding[...][None, :length]
        return TextStream(x, end_positions(ids, self.config.eos_token_id))

    def enter(self, stream: TextStream) -> TextStream:
        """The stream as the first block takes it: there is no norm before it."""
        return stream

    def run(self, stream: TextStream, remat: str = "none") -> TextStream:
        """The stream behind the blocks; `remat` as in `run_blocks`."""
        return stream._replace(x=run_blocks(self.blocks, stream.x, remat))

    def finish(self, stream: TextStream) -> Float[Array, "batch dim"]:
        """The embeddings."""
        # Pool first: LayerNorm acts on each token alone, so only the pooled one needs it.
        pooled = jnp.take_along_axis(stream.x, stream.ends[:, None, None], axis=1)[:, 0]
        return unit(self.projection(self.final_norm(pooled)))


class ClipModel(nnx.Module):
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

    def encode_pixels(self, pixels: jax.Array | np.ndarray) -> Float[Array, "batch dim"]:
        """Embed preprocessed images: [b, h, w, c] float32, normalised -> [b, d] float32 unit.

        Raises:
            UserError: not of the model's image size and number of channels.
        """
        side, channels = self.config.vision.image_size, self.config.vision.num_channels
        if pixels.ndim != 4 or pixels.shape[1:] != (side, side, channels):
            raise UserError(
                f"pixels have shape {tuple(pixels.shape)}, but this model takes "
                f"[batch, {side}, {side}, {channels}] (channels last)"
            )
        return self.vision(jnp.asarray(pixels, jnp.float32))

    def encode_tokens(self, ids: jax.Array | np.ndarray) -> Float[Array, "batch dim"]:
        """Embed texts: [b, length] int32 ids, each text with an end token -> [b, d] float32 unit.

        What follows the end token never matters, so any padding and any length that holds the
        texts gives the same embeddings.

        Raises:
            UserError: not two axes of integers, or longer than the model's positions; ids outside
                the vocabulary where `ids` is a NumPy array (others are not looked at).
        """
        text = self.config.text
        if ids.ndim != 2 or not jnp.issubdtype(ids.dtype, jnp.integer):
            raise UserError(
                f"token ids must be integers of shape [batch, length], not {ids.dtype} of shape "
                f"{tuple(ids.shape)}"
            )
        if ids.shape[1] > text.max_position_embeddings:
            raise UserError(
                f"token ids have length {ids.shape[1]}, but this model has "
                f"{text.max_position_embeddings} positions; truncate the texts"
            )
        if isinstance(ids, np.ndarray) and ids.size:
            _check_vocabulary(ids, text.vocab_size)
        return self.text(jnp.asarray(ids, jnp.int32))


def tower_of(model: ClipModel, query: str) -> Tower:
    """The tower of "image" or "text" queries."""
    module = model.vision if query == "image" else model.text
    layers = module.config.num_hidden_layers
    return Tower(module, is_layer_norm, in_blocks, before_blocks, layers)


def _patches(
    pixels: Float[Array, "batch height width channels"], config: VisionConfig
) -> Float[Array, "batch patches values"]:
    """Patches row by row, the values of each in the order row, column, channel."""
    batch, channels = pixels.shape[0], pixels.shape[-1]
    side, patch = config.patches_per_side, config.patch_size
    used = pixels[:, : side * patch, : side * patch]
    grid = used.reshape(batch, side, patch, side, patch, channels).swapaxes(2, 3)
    return grid.reshape(batch, side * side, patch * patch * channels)


def _projection(
    inputs: int, outputs: int, std: float, compute_dtype: np.dtype, rngs: nnx.Rngs
) -> nnx.Linear:
    return nnx.Linear(
        inputs,
        outputs,
        use_bias=False,
        kernel_init=nnx.initializers.normal(std),
        dtype=compute_dtype,
        param_dtype=jnp.float32,
        precision=product_precision(compute_dtype),
        rngs=rngs,
    )


def _normal(rngs: nnx.Rngs, shape: tuple[int, ...], std: float) -> jax.Array:
    return nnx.initializers.normal(std)(rngs.params(), shape, jnp.float32)


def _check_vocabulary(ids: np.ndarray, vocab_size: int) -> None:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab_size:
        raise UserError(
            f"token ids range from {low} to {high}, but this model's vocabulary has "
            f"{vocab_size} entries; use the tokenizer of the same checkpoint"
        )
