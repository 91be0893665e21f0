"""What loaded models of all families have in common: pictures and texts in, unit embeddings out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, UInt8
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.models.batches import chunks, embed_batches
from reex_jax.models.crops import check_crops, normalise_crops
from reex_jax.models.folders import checkpoint_sha256
from reex_jax.models.inputs import check_ids, check_pixels
from reex_jax.models.preprocess import (
    Preprocessing,
    crop_image,
    prepare_captions,
    preprocess_image,
    preprocess_numbered,
)
from reex_jax.models.text_tokenizer import TextTokenizer
from reex_jax.models.towers import (
    DualEncoder,
    Shape,
    StagedTower,
    before_blocks,
    in_blocks,
    is_layer_norm,
)
from reex_jax.models.two_tower import Tower


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with the tokenizer and the preprocessing of its checkpoint: a `TwoTower`.

    A family's class adds `temperature` and `spans`.

    Each `encode_*` works in batches of at most `batch_size`; smaller ones are padded to a quarter,
    a sixteenth, ... of it, so that few shapes compile. All return NumPy arrays [n, d] float32 of
    unit length, [0, d] for an empty list.

    Attributes:
        model: both towers; what is changed in it is seen by the next call.
        tokenizer: None if the folder has none; then `encode_texts` is refused.
        preprocessing: None if the model's pixels are not RGB; then `encode_images` is refused.
        folder: where it was read from.
        batch_size: pictures or texts that go through the model at once.
    """

    model: DualEncoder = field(repr=False)
    tokenizer: TextTokenizer | None
    preprocessing: Preprocessing | None
    folder: Path
    batch_size: int = 64

    tokenizer_files: ClassVar[str] = "tokenizer.json"
    """What a folder must hold to have one."""

    def __post_init__(self) -> None:
        """Checks the batch size.

        Raises:
            UserError: it is not a positive whole number.
        """
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size!r}; it must be at least 1")

    @property
    def shape(self) -> Shape:
        """Of the model: the sizes that every family has."""
        shape: Shape = self.model.config
        return shape

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return self.shape.projection_dim

    @property
    def mode(self) -> str:
        """How pictures and captions are preprocessed, see `Preprocessing`."""
        return self.preprocessing.mode if self.preprocessing else "clip"

    @cached_property
    def sha256(self) -> str:
        """Of the weights in `folder`, see `checkpoint_sha256`."""
        return checkpoint_sha256(self.folder)

    def encode_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        """Embeds n PIL images of any size and mode (see `preprocess_image`): [n, d] float32.

        Images are taken one batch at a time, so a generator need not hold them all.

        Raises:
            UserError: a single image, something that is no image (the message names its position),
                or a model whose pixels are not RGB.
        """
        settings = self._image_settings(images)
        parts = chunks(enumerate(images), self.batch_size)
        return self._embed(_embed_pixels, (preprocess_numbered(part, settings) for part in parts))

    def encode_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Embeds n captions: [n, d] float32.

        Captions too long for the model are cut, which is logged once. They go through the model
        sorted by length, which saves work and changes nothing.

        Raises:
            UserError: a single string; a caption that is empty, white space or not a string (the
                message names its position); a checkpoint without tokenizer.
        """
        tokenizer, rows = self._token_rows(texts)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = map(tokenizer.pad, chunks((rows[i] for i in order), self.batch_size))
        embeddings = self._embed(_embed_tokens, batches)
        result = np.empty_like(embeddings)
        result[order] = embeddings
        return result

    def encode_pixels(self, pixels: ArrayLike) -> np.ndarray:
        """Embeds preprocessed images [n, h, w, c] float32, already normalised: [n, d] float32.

        Raises:
            UserError: another shape or dtype, or values that are not finite.
        """
        return self._embed(_embed_pixels, chunks(self.check_pixels(pixels), self.batch_size))

    def encode_tokens(self, ids: ArrayLike) -> np.ndarray:
        """Embeds token ids [n, length] int32 with the tokenizer's special ones: [n, d] float32.

        Raises:
            UserError: another shape or dtype, a row too long, or an id that is not in the
                vocabulary.
        """
        return self._embed(_embed_tokens, chunks(self.check_ids(ids), self.batch_size))

    def pixels_of(self, images: Iterable[Image.Image]) -> np.ndarray:
        """What `encode_images` gives the model: n > 0 images as pixels [n, h, w, 3] float32.

        Raises:
            UserError: as `encode_images`.
        """
        settings = self._image_settings(images)
        return preprocess_numbered(enumerate(images), settings)

    def tokens_of(self, texts: Iterable[str]) -> np.ndarray:
        """What `encode_texts` gives the model: n captions as token ids [n, length] int32.

        The length is the shortest of the tokenizer's few that holds them all.

        Raises:
            UserError: as `encode_texts`.
        """
        tokenizer, rows = self._token_rows(texts)
        return tokenizer.pad(rows)

    def check_query(self, query: str) -> None:
        """Refuses "image" or "text" queries that the checkpoint cannot prepare.

        Raises:
            UserError: its pixels are not RGB, or it has no tokenizer.
        """
        _ = self._rgb() if query == "image" else self._own_tokenizer()

    def prepare_image(self, image: Image.Image) -> np.ndarray:
        """One picture as pixels [h, w, 3] float32, normalised.

        Raises:
            UserError: see `preprocess_image`; or a model whose pixels are not RGB.
        """
        return preprocess_image(image, self._rgb())

    def crop_image(self, image: Image.Image) -> np.ndarray:
        """One picture as pixels [h, w, 3] uint8, to be normalised on the device.

        Raises:
            UserError: as `prepare_image`.
        """
        return crop_image(image, self._rgb())

    def check_crops(self, crops: ArrayLike) -> np.ndarray:
        """Crops [n, h, w, 3] uint8 on the host; see `crops.check_crops`."""
        return check_crops(crops, self._rgb())

    def normalised(self, crops: UInt8[Array, "batch h w 3"]) -> Float[Array, "batch h w 3"]:
        """Crops as the image tower takes them; may be traced."""
        return normalise_crops(crops, self._rgb())

    def prepare_text(self, caption: str) -> np.ndarray:
        """One caption as token ids [length] int32, without padding.

        Raises:
            UserError: as `encode_texts`.
        """
        rows, _ = self._own_tokenizer().encode(prepare_captions([caption], self.mode))
        return np.array(rows[0], np.int32)

    def pad_texts(self, rows: Sequence[np.ndarray], one_length: bool = False) -> np.ndarray:
        """Rows of `prepare_text` as one array: [n, length] int32.

        With `one_length` as long as the model takes, else as the tokenizer's shortest length that
        holds them all; no family's embeddings change by this.
        """
        tokenizer = self._own_tokenizer()
        length = tokenizer.max_length if one_length else None
        return tokenizer.pad([row.tolist() for row in rows], length)

    def check_pixels(self, pixels: ArrayLike) -> np.ndarray:
        """Preprocessed pixels [n, h, w, c] float32 on the host; see `inputs.check_pixels`."""
        return check_pixels(pixels, self.shape.vision)

    def check_ids(self, ids: ArrayLike) -> np.ndarray:
        """Token ids [n, length] int32 on the host; see `inputs.check_ids`."""
        return check_ids(ids, self.shape.text, fixed_length=self.model.fixed_length)

    def query_tower(self, query: str) -> Tower:
        """The tower of "image" or "text" queries."""
        module = self.model.vision if query == "image" else self.model.text
        layers = module.config.num_hidden_layers if isinstance(module, StagedTower) else 0
        return Tower(module, is_layer_norm, in_blocks, before_blocks, layers)

    def _image_settings(self, images: Iterable[Image.Image]) -> Preprocessing:
        if isinstance(images, Image.Image):
            raise UserError("images must be a list, not one image; write [image]")
        return self._rgb()

    def _rgb(self) -> Preprocessing:
        if self.preprocessing is None:
            raise UserError(
                f"the model of {self.folder} takes {self.shape.vision.num_channels} channels, "
                "pictures have 3; make the pixels yourself and use encode_pixels"
            )
        return self.preprocessing

    def _token_rows(self, texts: Iterable[str]) -> tuple[TextTokenizer, list[list[int]]]:
        if isinstance(texts, str):
            raise UserError(f"captions must be a list, not one string; write [{texts!r:.60}]")
        tokenizer = self._own_tokenizer()
        return tokenizer, tokenizer.encode(prepare_captions(texts, self.mode))[0]

    def _own_tokenizer(self) -> TextTokenizer:
        if self.tokenizer is None:
            raise UserError(
                f"{self.folder} holds no tokenizer; add {self.tokenizer_files} of the same "
                "checkpoint, or make the ids yourself and use encode_tokens"
            )
        return self.tokenizer

    def _embed(
        self, kernel: Callable[[Any, Any, jax.Array], jax.Array], batches: Iterable[np.ndarray]
    ) -> np.ndarray:
        state = nnx.split(self.model)
        return embed_batches(partial(kernel, *state), batches, self.batch_size, self.dim)


@partial(jax.jit, static_argnums=0)
def _embed_pixels(graph: Any, state: Any, pixels: jax.Array) -> jax.Array:
    model: DualEncoder = nnx.merge(graph, state)
    return model.encode_pixels(pixels)


@partial(jax.jit, static_argnums=0)
def _embed_tokens(graph: Any, state: Any, ids: jax.Array) -> jax.Array:
    model: DualEncoder = nnx.merge(graph, state)
    return model.encode_tokens(ids)
