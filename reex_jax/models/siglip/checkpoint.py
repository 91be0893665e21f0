"""Reads the weights of a SigLIP checkpoint in Hugging Face's layout."""

from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from reex_jax.models.folders import weight_files
from reex_jax.models.read_weights import read_weights
from reex_jax.models.siglip.config import read_siglip_config
from reex_jax.models.siglip.model import SiglipModel
from reex_jax.models.siglip.weights import siglip_table
from reex_jax.models.weights import is_position_ids


def read_siglip(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> SiglipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; see
            `read_weights`.
    """
    config = read_siglip_config(folder)
    return read_weights(
        weight_files(folder),
        siglip_table(config),
        lambda: SiglipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)),
        ignored=is_position_ids,
    )
