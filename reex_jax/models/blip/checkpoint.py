"""Reads the weights of a BLIP checkpoint in Hugging Face's layout."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from reex_jax.models.blip.config import read_blip_config
from reex_jax.models.blip.model import BlipModel
from reex_jax.models.blip.weights import blip_table, is_ignored
from reex_jax.models.folders import weight_files
from reex_jax.models.read_weights import read_weights


def read_blip(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> BlipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; see
            `read_weights`.
    """
    config = read_blip_config(folder)
    return read_weights(
        weight_files(folder),
        blip_table(config),
        lambda: BlipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)),
        ignored=is_ignored,
    )
