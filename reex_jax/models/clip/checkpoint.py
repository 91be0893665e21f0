"""The weights of a CLIP checkpoint in Hugging Face's layout: read and write them."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from reex_jax.errors import UserError
from reex_jax.files import home, refuse_pointer
from reex_jax.models.clip.config import read_config
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.weights import IGNORED_SUFFIX, Weight, weight_table
from reex_jax.models.folders import WEIGHTS, weight_files

SAVED_DTYPES = ("float32", "float16", "bfloat16")
_FLOATS = ("F64", "F32", "F16", "BF16")
_LISTED_NAMES = 20


def read_model(folder: str | Path, *, compute_dtype: DTypeLike = jnp.float32) -> ClipModel:
    """Read a model; its parameters are float32 whatever the file's float type.

    Tensors are read one by one, so the host holds little more than the model itself.

    Raises:
        UserError: a file is missing, damaged, pickled or of another architecture; a weight is
            missing, unexpected, of the wrong shape or not finite. The message names the file and
            the weights.
    """
    folder = home(folder)
    config = read_config(folder)
    table = weight_table(config)
    files = weight_files(folder)
    homes = _checked_homes(files, table)
    abstract = nnx.eval_shape(
        lambda: ClipModel(config, compute_dtype=compute_dtype, rngs=nnx.Rngs(0))
    )
    structure, state = nnx.split(abstract)
    parameters = dict(nnx.to_flat_state(state))

    def read(name: str) -> np.ndarray:
        # Opened anew for each tensor: a map kept open keeps all pages read so far in memory.
        with _open(homes[name]) as tensors:
            return tensors.get_tensor(name)

    for weight in table:
        parameter = parameters[weight.path]
        with np.errstate(over="ignore"):  # a float64 beyond float32 is found below
            values = weight.to_model(read, parameter.shape)
        _check_finite(weight, values, homes)
        parameter.set_value(jnp.asarray(values))
    return nnx.merge(structure, nnx.from_flat_state(parameters.items()))


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
        tensors.update(weight.to_hf(_cast(parameter, np.dtype(dtype), weight.path)))
    config = model.config.to_dict() | {"dtype": name}
    folder = home(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    _replace(folder / "config.json", lambda file: file.write_text(text, encoding="utf-8"))
    # transformers refuses a safetensors file that does not say which framework's layout it has.
    _replace(folder / WEIGHTS, lambda file: save_file(tensors, file, metadata={"format": "pt"}))


def _open(file: Path) -> safe_open:
    refuse_pointer(file)
    try:
        return safe_open(file, framework="np")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file}: damaged or incomplete ({error}); download or copy the file again"
        ) from error


def _checked_homes(files: list[Path], table: list[Weight]) -> dict[str, Path]:
    """Which file holds each tensor, once names, shapes and types are what the model needs."""
    expected = {name: weight.hf_shape for weight in table for name in weight.hf_names()}
    homes: dict[str, Path] = {}
    wrong_shape, wrong_type = [], []
    for file in files:
        with _open(file) as tensors:
            names = tensors.keys()
            for name in names:
                if name.endswith(IGNORED_SUFFIX):
                    continue
                homes[name] = file
                tensor = tensors.get_slice(name)
                shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
                wanted = expected.get(name, shape)
                scalar = math.prod(shape) == 1 and not wanted  # a number in any shape
                if shape != wanted and not scalar:
                    wrong_shape.append(f"{name} is {list(shape)}, not {list(expected[name])}")
                if dtype not in _FLOATS:
                    wrong_type.append(f"{name} is {dtype}, not one of {', '.join(_FLOATS)}")
    problems = {
        "missing": [name for name in expected if name not in homes],
        "unexpected": [name for name in homes if name not in expected],
        "wrong shape": wrong_shape,
        "wrong type": wrong_type,
    }
    found = [f"{kind}: {_some(names)}" for kind, names in problems.items() if names]
    if found:
        raise UserError(
            f"{files[0]}: the weights are not those of the model in config.json; "
            f"{'; '.join(found)}; take both files from the same CLIP checkpoint"
        )
    return homes


def _check_finite(weight: Weight, values: np.ndarray, homes: dict[str, Path]) -> None:
    layers = values if weight.layers is not None else values[None]
    for name, layer in zip(weight.hf_names(), layers, strict=True):
        if not np.isfinite(layer).all():
            raise UserError(
                f"{homes[name]}: {name} has values that are no finite float32 numbers; the "
                "training diverged or the file is damaged: take another one"
            )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _LISTED_NAMES
    return ", ".join(names[:_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


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
