"""The public face of CLIP: one checkpoint folder in, unit embeddings of pictures and texts out."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Int32

from reex_jax.models.clip.checkpoint import read_model
from reex_jax.models.clip.config import ClipConfig
from reex_jax.models.clip.inputs import check_end_tokens, check_fit
from reex_jax.models.clip.model import ClipModel, end_positions
from reex_jax.models.clip.tokenizer import Tokenizer
from reex_jax.models.clip.tokenizer_files import FILES, has_tokenizer
from reex_jax.models.folders import BUNDLED, bundled_folder, find_checkpoint
from reex_jax.models.loaded import LoadedModel
from reex_jax.models.preprocess import read_preprocessing
from reex_jax.models.transformer import compute_dtype


@dataclass(frozen=True, eq=False)
class Clip(LoadedModel):
    """A CLIP model with tokenizer and preprocessing of its checkpoint; see `LoadedModel`."""

    model: ClipModel = field(repr=False)

    tokenizer_files: ClassVar[str] = FILES

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

    def check_ids(self, ids: ArrayLike) -> np.ndarray:
        """Token ids [n, length] int32 on the host; see `inputs.check_ids`.

        Raises:
            UserError: a row without end token, too.
        """
        return check_end_tokens(super().check_ids(ids), self.config.text)

    def spans(
        self, ids: Int[Array, "batch length"]
    ) -> tuple[Int32[Array, " batch"], Int32[Array, " batch"]]:
        """The positions behind the start token and of the end token; may be traced."""
        ends = end_positions(ids, self.config.text.eos_token_id)
        return jnp.ones_like(ends), ends


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
    folder = bundled_folder(revision) if bundled else find_checkpoint(path_or_hub_id, revision)
    model = read_model(folder, compute_dtype=dtype)
    tokenizer = None
    if has_tokenizer(folder):
        tokenizer = Tokenizer.load(folder, max_length=model.config.text.max_position_embeddings)
        check_fit(tokenizer, model.config.text, folder)
    settings = None
    if model.config.vision.num_channels == 3:
        size = model.config.vision.image_size
        settings = read_preprocessing(folder, size, mode=preprocessing)
    return Clip(model, tokenizer, settings, folder, batch_size)
