"""What the towers of all families are made of, and a pair of them that checks its inputs.

Paths of parameters mean the same in every family: those of the blocks begin with `blocks`, and only
those of LayerNorms contain "norm".
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int32, Shaped

from reex_jax.errors import UserError
from reex_jax.models.transformer import Block, Layers, product_precision, run_blocks, token_at


class VisionShape(Layers, Protocol):
    """What is known of every vision tower's configuration."""

    @property
    def num_channels(self) -> int:
        """Of the pixels."""

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""


class TextShape(Layers, Protocol):
    """What is known of every text tower's configuration."""

    @property
    def vocab_size(self) -> int:
        """How many token ids there are."""

    @property
    def max_position_embeddings(self) -> int:
        """The longest row of ids."""


class Shape(Protocol):
    """What is known of every model's configuration."""

    @property
    def vision(self) -> VisionShape:
        """Of the vision tower."""

    @property
    def text(self) -> TextShape:
        """Of the text tower."""

    @property
    def projection_dim(self) -> int:
        """Width d of the embeddings."""


def is_layer_norm(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower is scale or bias of a LayerNorm."""
    return any("norm" in str(part) for part in path)


def in_blocks(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower stands inside its blocks."""
    return "blocks" in path


def before_blocks(path: tuple[Any, ...]) -> bool:
    """Whether a parameter of a tower stands before its blocks."""
    return any("embedding" in str(part) or part == "pre_norm" for part in path)


class Stream(NamedTuple):
    """Queries on their way through a tower.

    Attributes:
        x: the residual stream.
        read: the token at which each embedding is read; None where all are.
        visible: False for tokens that no other may look at, where there are some.
    """

    x: Float[Array, "batch tokens features"]
    read: Int32[Array, " batch"] | None = None
    visible: Bool[Array, "batch tokens"] | None = None


class StagedTower(nnx.Module):
    """A tower that runs in the four stages of `two_tower.Stages`; a family gives first and last."""

    config: Any
    blocks: Block

    def __call__(self, inputs: Shaped[Array, "batch ..."]) -> Float[Array, "batch dim"]:
        """The embeddings."""
        stream = self.run(self.enter(self.begin(inputs)))
        embeddings: Float[Array, "batch dim"] = self.finish(stream)
        return embeddings

    def begin(self, inputs: Any) -> Stream:
        """What no LayerNorm precedes."""
        raise NotImplementedError

    def enter(self, stream: Stream) -> Stream:
        """What stands between that and the first block: nothing, in most families."""
        return stream

    def run(self, stream: Stream, remat: str = "none", last: bool = False) -> Stream:
        """The stream behind the blocks, with `last` only what `finish` reads; `remat` as there."""
        read = stream.read if last else None
        return stream._replace(x=run_blocks(self.blocks, stream.x, stream.visible, remat, read))

    def finish(self, stream: Stream) -> Any:
        """The embeddings."""
        raise NotImplementedError


class DualEncoder(nnx.Module):
    """Two towers into one space of unit vectors; a family's class makes them.

    Attributes:
        config: the shape.
        vision: pixels [b, h, w, c] float32 -> [b, d] float32 unit.
        text: token ids [b, length] int32 -> [b, d] float32 unit.
    """

    fixed_length = False
    """Whether texts always have all positions, because padding is part of what the model reads."""

    config: Any
    vision: Any
    text: Any

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
        embeddings: Float[Array, "batch dim"] = self.vision(jnp.asarray(pixels, jnp.float32))
        return embeddings

    def encode_tokens(self, ids: jax.Array | np.ndarray) -> Float[Array, "batch dim"]:
        """Embed texts: [b, length] int32 ids, with the tokenizer's special ones -> [b, d] unit.

        Any length that holds the texts gives the same embeddings, unless `fixed_length`.

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
        check_length(ids.shape[1], text.max_position_embeddings, self.fixed_length)
        if isinstance(ids, np.ndarray) and ids.size:
            _check_vocabulary(ids, text.vocab_size)
        embeddings: Float[Array, "batch dim"] = self.text(jnp.asarray(ids, jnp.int32))
        return embeddings


def check_length(length: int, positions: int, fixed: bool) -> None:
    """Raises UserError if a model with so many positions cannot take rows of this length."""
    if length > positions:
        raise UserError(
            f"token ids have length {length}, but this model has {positions} positions; "
            "truncate the texts"
        )
    if fixed and length != positions:
        raise UserError(
            f"token ids have length {length}, but this model was trained with texts padded to "
            f"{positions}, and reads the padding; pad them"
        )


def at_read(stream: Stream) -> Float[Array, "batch features"]:
    """What stands at the tokens at which embeddings are read, of all tokens or of only these."""
    if stream.x.shape[1] == 1:
        return stream.x[:, 0]
    assert stream.read is not None  # `begin` says where they are
    return token_at(stream.x, stream.read)[:, 0]


def at_first(x: Float[Array, "batch tokens features"]) -> Stream:
    """A stream whose embeddings are read at its first token, the class token mostly."""
    return Stream(x, read=jnp.zeros(len(x), jnp.int32))


def behind_class(
    cells: Float[Array, "batch patches features"],
    class_embedding: Float[Array, " features"],
    positions: Float[Array, "tokens features"],
) -> Stream:
    """Patches behind the class token, all with their positions, to be read at the class token."""
    batch, _, width = cells.shape
    classes = jnp.broadcast_to(class_embedding, (batch, 1, width))
    return at_first(jnp.concatenate([classes, cells], axis=1) + positions[None])


def patches(
    pixels: Float[Array, "batch height width channels"], patch: int
) -> Float[Array, "batch patches values"]:
    """Patches row by row, the values of each in the order row, column, channel.

    A remainder at the right and lower edge is left out.
    """
    batch, height, _, channels = pixels.shape
    side = height // patch
    used = pixels[:, : side * patch, : side * patch]
    grid = used.reshape(batch, side, patch, side, patch, channels).swapaxes(2, 3)
    return grid.reshape(batch, side * side, patch * patch * channels)


def projection(
    inputs: int,
    outputs: int,
    std: float,
    compute_dtype: np.dtype,
    rngs: nnx.Rngs,
    *,
    bias: bool = False,
) -> nnx.Linear:
    """A linear layer with float32 parameters and products in `compute_dtype`."""
    return nnx.Linear(
        inputs,
        outputs,
        use_bias=bias,
        kernel_init=nnx.initializers.normal(std),
        dtype=compute_dtype,
        param_dtype=jnp.float32,
        precision=product_precision(compute_dtype),
        rngs=rngs,
    )


def normal(rngs: nnx.Rngs, shape: tuple[int, ...], std: float) -> jax.Array:
    """Normal draws, float32."""
    return nnx.initializers.normal(std)(rngs.params(), shape, jnp.float32)


def _check_vocabulary(ids: np.ndarray, vocab_size: int) -> None:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab_size:
        raise UserError(
            f"token ids range from {low} to {high}, but this model's vocabulary has "
            f"{vocab_size} entries; use the tokenizer of the same checkpoint"
        )
