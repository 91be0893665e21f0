"""Reads the weights of an OpenCLIP checkpoint in open_clip's layout, as a CLIP."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from reex_jax.models.clip.model import ClipModel
from reex_jax.models.folders import weight_files
from reex_jax.models.open_clip.config import read_open_clip_config
from reex_jax.models.open_clip.weights import is_ignored, open_clip_table
from reex_jax.models.read_weights import read_weights


def read_open_clip(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> ClipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; see
            `read_weights`.
    """
    config = read_open_clip_config(folder)
    return read_weights(
        weight_files(folder),
        open_clip_table(config),
        lambda: ClipModel(config.clip, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)),
        ignored=is_ignored,
    )
