"""The public face of CLIP: one checkpoint folder in, unit embeddings of pictures and texts out."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from PIL import Image

from reex_jax.errors import UserError
from reex_jax.models.clip.checkpoint import find_checkpoint, load_model
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, ClipConfig, TextConfig
from reex_jax.models.clip.inputs import check_ids, check_pixels
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.preprocess import (
    Preprocessing,
    prepare_captions,
    preprocess_numbered,
    read_preprocessing,
)
from reex_jax.models.clip.tokenizer import FILES, Tokenizer, has_tokenizer
from reex_jax.models.clip.transformer import compute_dtype

BUNDLED = "bundled"


@dataclass(frozen=True, eq=False)
class Clip:
    """A CLIP model with the tokenizer and the preprocessing of its checkpoint.

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

    model: ClipModel = field(repr=False)
    tokenizer: Tokenizer | None
    preprocessing: Preprocessing | None
    folder: Path
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Checks the batch size.

        Raises:
            UserError: it is not a positive whole number.
        """
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size!r}; it must be at least 1")

    @property
    def config(self) -> ClipConfig:
        """The model's shape."""
        return self.model.config

    @property
    def logit_scale(self) -> float:
        """Natural logarithm of the factor on cosines, as in the checkpoint (4.6 for OpenAI's)."""
        return float(jax.device_get(self.model.logit_scale[...]))

    @property
    def temperature(self) -> float:
        """The model's own softmax temperature, exp(-logit_scale): 0.01 for OpenAI's CLIP."""
        return math.exp(-self.logit_scale)

    def encode_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        """Embeds n PIL images of any size and mode (see `preprocess_image`): [n, d] float32.

        Images are taken one batch at a time, so a generator need not hold them all.

        Raises:
            UserError: a single image, something that is no image (the message names its position),
                or a model whose pixels are not RGB.
        """
        settings = self._image_settings(images)
        parts = self._chunk(enumerate(images))
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
        batches = map(tokenizer.pad, self._chunk(rows[i] for i in order))
        embeddings = self._embed(_embed_tokens, batches)
        result = np.empty_like(embeddings)
        result[order] = embeddings
        return result

    def encode_pixels(self, pixels: ArrayLike) -> np.ndarray:
        """Embeds preprocessed images [n, h, w, c] float32, already normalised: [n, d] float32.

        Raises:
            UserError: another shape or dtype, or values that are not finite.
        """
        checked = check_pixels(pixels, self.config.vision)
        return self._embed(_embed_pixels, self._chunk(checked))

    def encode_tokens(self, ids: ArrayLike) -> np.ndarray:
        """Embeds token ids [n, length] int32, each row with an end token: [n, d] float32.

        Raises:
            UserError: another shape or dtype, a row too long or without end token, or an id that
                is not in the vocabulary.
        """
        checked = check_ids(ids, self.config.text)
        return self._embed(_embed_tokens, self._chunk(checked))

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

    def _image_settings(self, images: Iterable[Image.Image]) -> Preprocessing:
        if isinstance(images, Image.Image):
            raise UserError("images must be a list, not one image; write [image]")
        if self.preprocessing is None:
            raise UserError(
                f"the model of {self.folder} takes {self.config.vision.num_channels} channels, "
                "pictures have 3; make the pixels yourself and use encode_pixels"
            )
        return self.preprocessing

    def _token_rows(self, texts: Iterable[str]) -> tuple[Tokenizer, list[list[int]]]:
        if isinstance(texts, str):
            raise UserError(f"captions must be a list, not one string; write [{texts!r:.60}]")
        if self.tokenizer is None:
            raise UserError(
                f"{self.folder} holds no tokenizer; add {FILES} of the same checkpoint, "
                "or make the ids yourself and use encode_tokens"
            )
        mode = self.preprocessing.mode if self.preprocessing else "clip"
        return self.tokenizer, self.tokenizer.encode(prepare_captions(texts, mode))[0]

    def _chunk(self, items: Iterable[Any]) -> Iterator[Any]:
        """Consecutive parts of at most `batch_size`: slices of an array, else lists."""
        if isinstance(items, np.ndarray):
            for start in range(0, len(items), self.batch_size):
                yield items[start : start + self.batch_size]
            return
        source = iter(items)
        while part := list(islice(source, self.batch_size)):
            yield part

    def _embed(
        self, kernel: Callable[[Any, Any, jax.Array], jax.Array], batches: Iterable[np.ndarray]
    ) -> np.ndarray:
        graph, state = nnx.split(self.model)
        done: list[np.ndarray] = []
        running: list[tuple[jax.Array, int]] = []
        for batch in batches:
            padded = _pad_rows(batch, _padded_rows(len(batch), self.batch_size))
            running.append((kernel(graph, state, jax.device_put(padded)), len(batch)))
            # One batch ahead: the next is prepared while the device works, and no more queue up.
            if len(running) > 1:
                done.append(_fetch(*running.pop(0)))
        done.extend(_fetch(*item) for item in running)
        return np.concatenate([np.zeros((0, self.config.projection_dim), np.float32), *done])


def load_clip(
    path_or_hub_id: str | Path = BUNDLED,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> Clip:
    """Loads a CLIP checkpoint in Hugging Face's layout.

    Args:
        path_or_hub_id: a folder, a hub id such as "openai/clip-vit-base-patch16", or "bundled" for
            the small model in this package (a folder of that name: "./bundled").
        revision: branch, tag or commit of a hub id.
        precision: of matrix products: "float32", "bfloat16", or "auto" (float32 on CPUs, bfloat16
            on GPUs and TPUs). All else is float32.
        preprocessing: "clip" or "tcr" (see `Preprocessing`).
        batch_size: see `Clip`.

    Raises:
        UserError: the checkpoint is missing, damaged, of another architecture, or its files do not
            fit each other; an unknown precision or preprocessing.
    """
    dtype = compute_dtype(precision)
    bundled = path_or_hub_id == BUNDLED
    folder = _bundled_folder(revision) if bundled else find_checkpoint(path_or_hub_id, revision)
    model = load_model(folder, compute_dtype=dtype)
    tokenizer = None
    if has_tokenizer(folder):
        tokenizer = Tokenizer.load(folder, max_length=model.config.text.max_position_embeddings)
        _check_fit(tokenizer, model.config.text, folder)
    rgb = model.config.vision.num_channels == 3
    settings = read_preprocessing(folder, model.config, mode=preprocessing) if rgb else None
    return Clip(model, tokenizer, settings, folder, batch_size)


@partial(jax.jit, static_argnums=0)
def _embed_pixels(graph: Any, state: Any, pixels: jax.Array) -> jax.Array:
    model: ClipModel = nnx.merge(graph, state)
    return model.encode_pixels(pixels)


@partial(jax.jit, static_argnums=0)
def _embed_tokens(graph: Any, state: Any, ids: jax.Array) -> jax.Array:
    model: ClipModel = nnx.merge(graph, state)
    return model.encode_tokens(ids)


def _fetch(embeddings: jax.Array, count: int) -> np.ndarray:
    return np.asarray(jax.device_get(embeddings), np.float32)[:count]


def _padded_rows(count: int, batch_size: int) -> int:
    """The smallest of batch_size, batch_size / 4, / 16, ... (rounded up) that holds count rows."""
    while count <= (smaller := -(-batch_size // 4)) < batch_size:
        batch_size = smaller
    return batch_size


def _pad_rows(batch: np.ndarray, rows: int) -> np.ndarray:
    """Repeats the last row, which is harmless input, up to `rows`."""
    return np.pad(batch, [(0, rows - len(batch))] + [(0, 0)] * (batch.ndim - 1), mode="edge")


def _bundled_folder(revision: str | None) -> Path:
    if revision is not None:
        raise UserError(f"the bundled model has no revision {revision!r}; leave it out")
    folder = Path(str(resources.files("reex_jax.models.clip"))) / BUNDLED
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: the bundled model is not part of this installation; install reex_jax "
            "with its package data, or give a checkpoint folder or hub id"
        )
    return folder


def _check_fit(tokenizer: Tokenizer, config: TextConfig, folder: Path) -> None:
    """Refuses files of two checkpoints in one folder."""
    if tokenizer.largest_id >= config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has ids up to {tokenizer.largest_id}, but config.json says "
            f"vocab_size {config.vocab_size}; take both from one checkpoint"
        )
    legacy = config.eos_token_id == LEGACY_EOS_TOKEN_ID  # such a model pools at the largest id
    expected = tokenizer.largest_id if legacy else config.eos_token_id
    if tokenizer.end_id != expected:
        raise UserError(
            f"{folder}: the tokenizer's end token has id {tokenizer.end_id}, but the model pools "
            f"at id {expected} (eos_token_id in config.json); take both from one checkpoint"
        )
