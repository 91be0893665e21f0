"""Reads the weights of any family's checkpoint by its table."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open

from reex_jax.errors import UserError
from reex_jax.files import refuse_pointer
from reex_jax.models.weights import Weight

_FLOATS = ("F64", "F32", "F16", "BF16")
_LISTED_NAMES = 20

M = TypeVar("M", bound=nnx.Module)


def read_weights(
    files: Sequence[Path],
    table: Sequence[Weight],
    make: Callable[[], M],
    *,
    ignored: Callable[[str], bool] = lambda name: False,
) -> M:
    """A model with the weights of the files, float32 whatever the float type there.

    Tensors are read one by one, so the host holds little more than the model itself.

    Args:
        files: safetensors files that hold the tensors together.
        table: every parameter of the model.
        make: the model with any parameters; only its shapes are looked at.
        ignored: names of tensors that the files may have beside those of the table.

    Raises:
        UserError: a file is damaged; a weight is missing, unexpected, of the wrong shape, no
            float or not finite. The message names the file and the weights.
    """
    homes = _checked_homes(files, table, ignored)
    structure, state = nnx.split(nnx.eval_shape(make))
    parameters = dict(nnx.to_flat_state(state))

    def read(name: str, rows: slice | None = None) -> np.ndarray:
        # Opened anew for each tensor: a map kept open keeps all pages read so far in memory.
        with _open(homes[name]) as tensors:
            found: np.ndarray = (
                tensors.get_tensor(name) if rows is None else tensors.get_slice(name)[rows]
            )
            return found

    for weight in table:
        parameter = parameters[weight.path]
        with np.errstate(over="ignore"):  # a float64 beyond float32 is found below
            values = weight.to_model(read, parameter.shape)
        _check_finite(weight, values, homes)
        parameter.set_value(jnp.asarray(values))
    return nnx.merge(structure, nnx.from_flat_state(parameters.items()))


def _open(file: Path) -> safe_open:
    refuse_pointer(file)
    try:
        return safe_open(file, framework="np")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{file}: damaged or incomplete ({error}); download or copy the file again"
        ) from error


def _checked_homes(
    files: Sequence[Path], table: Sequence[Weight], ignored: Callable[[str], bool]
) -> dict[str, Path]:
    """Which file holds each tensor, once names, shapes and types are what the model needs."""
    expected = {name: weight.shape for weight in table for name in weight.names()}
    homes: dict[str, Path] = {}
    wrong_shape, wrong_type = [], []
    for file in files:
        with _open(file) as tensors:
            names = tensors.keys()
            for name in names:
                if name not in expected and ignored(name):
                    continue
                homes[name] = file
                tensor = tensors.get_slice(name)
                shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
                wanted = expected.get(name, shape)
                scalar = math.prod(shape) == 1 and wanted in ((), (1,))  # a number in any shape
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
            f"{'; '.join(found)}; take both files from the same checkpoint"
        )
    return homes


def _check_finite(weight: Weight, values: np.ndarray, homes: Mapping[str, Path]) -> None:
    layers = values if weight.layers is not None else values[None]
    for name, layer in zip(weight.names(), layers, strict=True):
        if not np.isfinite(layer).all():
            raise UserError(
                f"{homes[name]}: {name} has values that are no finite float32 numbers; the "
                "training diverged or the file is damaged: take another one"
            )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _LISTED_NAMES
    return ", ".join(names[:_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")
