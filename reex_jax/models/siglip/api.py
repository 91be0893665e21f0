"""The public face of SigLIP and SigLIP 2: one checkpoint folder in, unit embeddings out."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Int32

from reex_jax.models.folders import find_checkpoint
from reex_jax.models.inputs import check_vocabulary_fits
from reex_jax.models.loaded import LoadedModel
from reex_jax.models.preprocess import Preprocessing, read_preprocessing
from reex_jax.models.siglip.checkpoint import read_siglip
from reex_jax.models.siglip.model import SiglipModel
from reex_jax.models.siglip.tokenizer import FILES, load_siglip_tokenizer
from reex_jax.models.transformer import compute_dtype

MEAN_AND_STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True, eq=False)
class Siglip(LoadedModel):
    """A SigLIP model with tokenizer and preprocessing of its checkpoint; see `LoadedModel`."""

    model: SiglipModel = field(repr=False)

    tokenizer_files: ClassVar[str] = FILES

    @property
    def temperature(self) -> float:
        """exp(-logit_scale), by which SigLIP divides cosines before its sigmoid.

        SigLIP was trained with a sigmoid for each pair, not with a softmax. Methods that need one
        take it at this temperature: the odds of two candidates are then what their two sigmoids
        make of them where both are unlikely (the bias cancels), which is so for nearly all pairs.
        """
        return math.exp(-float(jax.device_get(self.model.logit_scale[...])))

    @property
    def logit_bias(self) -> float:
        """Added to scaled cosines before the sigmoid; no ranking depends on it."""
        return float(jax.device_get(self.model.logit_bias[...]))

    def spans(
        self, ids: Int[Array, "batch length"]
    ) -> tuple[Int32[Array, " batch"], Int32[Array, " batch"]]:
        """0, and the position of the end token (of the last one, where a text lacks it)."""
        if self.tokenizer is None:
            ends = jnp.full(ids.shape[0], ids.shape[1] - 1, jnp.int32)
        else:
            marks = ids == self.tokenizer.end[0]
            last = ids.shape[1] - 1
            ends = jnp.where(marks.any(axis=1), jnp.argmax(marks, axis=1), last).astype(jnp.int32)
        return jnp.zeros_like(ends), ends


def load_siglip(
    path_or_hub_id: str | Path,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> Siglip:
    """Loads a checkpoint of SigLIP, or of SigLIP 2 with a fixed resolution.

    Args:
        path_or_hub_id: a folder, or a hub id such as "google/siglip2-base-patch16-224".
        revision: branch, tag or commit of a hub id.
        precision: of matrix products, see `load_clip`.
        preprocessing: "clip" (as the checkpoint's own files say) or "tcr".
        batch_size: pictures or texts that go through the model at once.

    Raises:
        UserError: as `load_clip`.
    """
    dtype = compute_dtype(precision)
    folder = find_checkpoint(path_or_hub_id, revision)
    model = read_siglip(folder, compute_dtype=dtype)
    vision, text = model.config.vision, model.config.text
    tokenizer = load_siglip_tokenizer(folder, text.max_position_embeddings)
    check_vocabulary_fits(tokenizer, text, folder)
    settings = None
    if vision.num_channels == 3:
        default = Preprocessing(vision.image_size, MEAN_AND_STD, MEAN_AND_STD, squash=True)
        settings = read_preprocessing(
            folder, vision.image_size, mode=preprocessing, default=default
        )
    return Siglip(model, tokenizer, settings, folder, batch_size)
