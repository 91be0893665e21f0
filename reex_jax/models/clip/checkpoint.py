"""The weights of a CLIP checkpoint in Hugging Face's layout: read and write them."""

import json
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from safetensors.numpy import save_file

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.models.clip.config import read_config
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.weights import weight_table
from reex_jax.models.folders import WEIGHTS, weight_files
from reex_jax.models.read_weights import read_weights
from reex_jax.models.weights import is_position_ids

SAVED_DTYPES = ("float32", "float16", "bfloat16")


def read_model(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> ClipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; see
            `read_weights`.
    """
    folder = home(folder)
    config = read_config(folder)
    return read_weights(
        weight_files(folder),
        weight_table(config),
        lambda: ClipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0)),
        ignored=is_position_ids,
    )


def save_model(model: ClipModel, folder: str | Path, *, dtype: DTypeLike = np.float32) -> None:
    """Write `config.json` and `model.safetensors`, as transformers' CLIPModel reads them.

    Args:
        model: its parameters are written; compute_dtype is not kept.
        folder: made if needed; files of these two names are replaced.
        dtype: float32, float16 or bfloat16.

    Raises:
        UserError: another dtype, or a weight too large for it.
    """
    name = np.dtype(dtype).name
    if name not in SAVED_DTYPES:
        raise UserError(f"cannot save weights as {name}; allowed: {', '.join(SAVED_DTYPES)}")
    parameters = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    tensors: dict[str, np.ndarray] = {}
    for weight in weight_table(model.config):
        parameter = np.asarray(parameters[weight.path][...])
        tensors.update(weight.to_file(_cast(parameter, np.dtype(dtype), weight.path)))
    config = model.config.to_dict() | {"dtype": name}
    folder = home(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    _replace(folder / "config.json", lambda file: file.write_text(text, encoding="utf-8"))
    # transformers refuses a safetensors file that does not say which framework's layout it has.
    _replace(folder / WEIGHTS, lambda file: save_file(tensors, file, metadata={"format": "pt"}))


def _cast(parameter: np.ndarray, dtype: np.dtype, path: tuple[str, ...]) -> np.ndarray:
    with np.errstate(over="ignore"):
        cast = parameter.astype(dtype)
    if np.isfinite(parameter).all() and not np.isfinite(cast).all():
        raise UserError(
            f"{'/'.join(path)} has a value of {np.abs(parameter).max():g}, too large for "
            f"{dtype.name}; save as float32"
        )
    return cast


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename, so that an interrupted save leaves the old one whole."""
    partial = file.with_name(f"{file.name}.partial")
    write(partial)
    partial.replace(file)
