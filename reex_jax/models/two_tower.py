"""What the rest of the project knows of a model: two towers into one space of unit vectors.

Adaptation, retrieval, queries and the benchmark use nothing else, so a family (CLIP is one) is a
class with these members, and a line in `load.FAMILIES`.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image

PathInTower = tuple[Any, ...]
"""Of a parameter, as `nnx.to_flat_state` gives it."""


class Stages(Protocol):
    """A tower's module in four stages, so that what does not adapt need not run again.

    `finish(run(enter(begin(inputs))))` are unit embeddings [B, d] float32. A stream between two
    stages is a pytree with the query as first axis. Every parameter of the blocks has the layer as
    its first axis, and `run` goes through as many layers as the parameters have.
    """

    def begin(self, inputs: Any) -> Any:
        """What no LayerNorm precedes."""

    def enter(self, stream: Any) -> Any:
        """What stands between that and the first block."""

    def run(self, stream: Any, remat: str = "none", last: bool = False) -> Any:
        """The blocks; `remat`, one of `settings.choices.REMATS`, says what a gradient keeps.

        `last`: `finish` follows, so that the last block may leave out what that does not read.
        """

    def finish(self, stream: Any) -> Any:
        """From the stream behind the last block to embeddings."""


class Tower(NamedTuple):
    """The tower that embeds queries.

    Attributes:
        module: inputs with the query as first axis -> unit embeddings [B, d] float32; with `Stages`
            where there are `layers`.
        is_layer_norm: whether a parameter is scale or bias of a LayerNorm.
        in_blocks: whether a parameter stands inside the blocks.
        before_blocks: whether it stands before them.
        layers: how many blocks there are; 0 for a module without `Stages`, which always runs whole.
    """

    module: nnx.Module
    is_layer_norm: Callable[[PathInTower], bool]
    in_blocks: Callable[[PathInTower], bool]
    before_blocks: Callable[[PathInTower], bool]
    layers: int


class TwoTower(Protocol):
    """A model of pictures and texts with its tokenizer and its preprocessing.

    What a checkpoint lacks (a tokenizer, RGB pixels) is refused with a UserError by what needs it.
    """

    @property
    def folder(self) -> Path:
        """Where it was read from."""

    @property
    def sha256(self) -> str:
        """Hexadecimal hash of the weights, to name the checkpoint in a result."""

    @property
    def mode(self) -> str:
        """How pictures and captions are preprocessed, one of `settings.choices.MODES`."""

    @property
    def dim(self) -> int:
        """Width d of the embeddings."""

    @property
    def temperature(self) -> float:
        """Of the softmax that the model was trained with."""

    @property
    def batch_size(self) -> int:
        """Pictures or texts that go through the model at once."""

    def encode_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        """Unit embeddings [n, d] float32 of n pictures."""

    def encode_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Unit embeddings [n, d] float32 of n captions."""

    def encode_pixels(self, pixels: ArrayLike) -> np.ndarray:
        """Unit embeddings [n, d] float32 of preprocessed pictures [n, h, w, c] float32."""

    def encode_tokens(self, ids: ArrayLike) -> np.ndarray:
        """Unit embeddings [n, d] float32 of token ids [n, length] int32."""

    def pixels_of(self, images: Iterable[Image.Image]) -> np.ndarray:
        """n > 0 pictures as pixels [n, h, w, c] float32."""

    def tokens_of(self, texts: Iterable[str]) -> np.ndarray:
        """n captions as token ids [n, length] int32, padded no longer than need be."""

    def check_query(self, query: str) -> None:
        """Raises UserError if the checkpoint cannot prepare "image" or "text" queries."""

    def prepare_image(self, image: Image.Image) -> np.ndarray:
        """One picture as pixels [h, w, c] float32; safe in several threads."""

    def crop_image(self, image: Image.Image) -> np.ndarray:
        """One picture as pixels [h, w, c] uint8, to be normalised on the device; likewise."""

    def check_crops(self, crops: ArrayLike) -> np.ndarray:
        """Crops [n, h, w, c] uint8 on the host; raises UserError if they are not the model's."""

    def normalised(self, crops: UInt8[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        """Crops as the image tower takes them; may be traced."""

    def prepare_text(self, caption: str) -> np.ndarray:
        """One caption as token ids [length] int32 without padding; safe in several threads."""

    def pad_texts(self, rows: Sequence[np.ndarray], one_length: bool = False) -> np.ndarray:
        """Rows of `prepare_text` as one array [n, length] int32.

        `one_length`: always the longest that the model takes; needed where several processes
        prepare parts of one batch, which must have one shape.
        """

    def check_pixels(self, pixels: ArrayLike) -> np.ndarray:
        """Pixels [n, h, w, c] float32 on the host; raises UserError if they are not the model's."""

    def check_ids(self, ids: ArrayLike) -> np.ndarray:
        """Token ids [n, length] int32 on the host; raises UserError if they are not the model's."""

    def spans(
        self, ids: Int[Array, "batch length"]
    ) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
        """Where each text's own tokens begin, and where they have ended; may be traced."""

    def query_tower(self, query: str) -> Tower:
        """The tower of "image" or "text" queries, whose module this model goes on using."""
