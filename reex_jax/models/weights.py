"""Where each weight of a checkpoint lives in a model: the entries of every family's table.

A weight differs between the two only in the order of its axes, in whether the heads are an axis of
their own, in the layers being stacked, and in whether query, key and value are one tensor; all of
them are slices, reshapes and transpositions.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from reex_jax.models.transformer import Layers

_PART_SIZE = 2**22  # values of a large tensor that are read at once
_ALIGNMENT = 64

AS_IS: tuple[int, ...] = ()
LINEAR = (1, 0)  # [out, in] -> [in, out]
PATCHES = (2, 3, 1, 0)  # [out, channel, row, column] -> [row, column, channel, out]


def is_position_ids(name: str) -> bool:
    """Whether a tensor is a buffer that older checkpoints carry; it holds 0, 1, 2, ..."""
    return name.endswith(".embeddings.position_ids")


class Read(Protocol):
    """Reads a checkpoint's tensor, or some of its rows."""

    def __call__(self, name: str, rows: slice | None = None) -> np.ndarray:
        """The tensor of this name."""


@dataclasses.dataclass(frozen=True)
class Weight:
    """One parameter of the model and the tensor or tensors of the checkpoint that hold it.

    Attributes:
        path: path of the parameter in `ClipModel`.
        name: name in the checkpoint, with `{layer}` where the layers are separate tensors.
        shape: shape of one such tensor.
        axes: transposition of one tensor from the checkpoint's order to the model's; () for none.
        layers: number of stacked tensors; None for a parameter outside the blocks.
        part: which of how many equal parts of the tensor's rows, such as (1, 3) for the keys where
            query, key and value are one tensor; `shape` is that of the whole.
    """

    path: tuple[str, ...]
    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...] = AS_IS
    layers: int | None = None
    part: tuple[int, int] | None = None

    def names(self) -> list[str]:
        """Names of the checkpoint's tensors, in the order of the layers."""
        return [self.name.format(layer=layer) for layer in range(self.layers or 1)]

    def to_model(self, read: Read, shape: tuple[int, ...]) -> np.ndarray:
        """The model's float32 parameter of this shape, from `read(name)` -> array of `shape`.

        Tensors are read one after the other into the result, large ones in parts: no second copy
        of all layers, or of a whole table of tokens, exists.
        """
        result = _empty(shape)
        if not (self.axes or self.part or self.layers) and self.shape:
            self._read_rows(read, result.reshape(self.shape))
            return result
        slots = result if self.layers is not None else result[None]
        for layer, name in enumerate(self.names()):
            tensor = read(name) if self.part is None else read(name, self._rows(*self.part))
            ordered = tensor.transpose(self.axes) if self.axes else tensor
            slots[layer, ...] = ordered.reshape(shape if self.layers is None else shape[1:])
        return result

    def to_file(self, parameter: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The checkpoint's names and contiguous tensors of the model's parameter."""
        assert self.part is None, "written models keep query, key and value apart"
        slots = parameter if self.layers is not None else parameter[None]
        ordered_shape = tuple(self.shape[axis] for axis in self.axes) or self.shape
        inverse = tuple(np.argsort(self.axes)) if self.axes else None
        for slot, name in zip(slots, self.names(), strict=True):
            tensor = slot.reshape(ordered_shape)
            # Not np.ascontiguousarray: it makes a vector of a scalar.
            yield name, np.asarray(tensor.transpose(inverse) if inverse else tensor, order="C")

    def _read_rows(self, read: Read, target: np.ndarray) -> None:
        step = max(1, _PART_SIZE // math.prod(self.shape[1:]))
        if step >= len(target):
            target[...] = read(self.name)
            return
        for start in range(0, len(target), step):
            rows = slice(start, min(start + step, len(target)))
            target[rows] = read(self.name, rows)

    def _rows(self, index: int, parts: int) -> slice:
        rows = self.shape[0] // parts
        return slice(index * rows, (index + 1) * rows)


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    """Not yet filled float32, aligned as XLA wants it: then a CPU takes it over without a copy."""
    size = 4 * math.prod(shape)
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def norm(path: tuple[str, ...], name: str, width: int) -> list[Weight]:
    """Scale and bias of a LayerNorm."""
    return [
        Weight((*path, "scale"), f"{name}.weight", (width,)),
        Weight((*path, "bias"), f"{name}.bias", (width,)),
    ]


def linear(path: tuple[str, ...], name: str, shape: tuple[int, int]) -> list[Weight]:
    """Kernel and bias of a linear layer; `shape` is [out, in]."""
    return [
        Weight((*path, "kernel"), f"{name}.weight", shape, LINEAR),
        Weight((*path, "bias"), f"{name}.bias", shape[:1]),
    ]


def fused(path: tuple[str, ...], weight: str, bias: str, width: int) -> list[Weight]:
    """Query, key and value of a block whose checkpoint has them as one tensor each, 3 width rows.

    Args:
        path: of the block or the pooling.
        weight: name of the tensor [3 width, width].
        bias: name of the tensor [3 width].
        width: of the tower.
    """
    table = []
    for index, name in enumerate(("query", "key", "value")):
        part = (index, 3)
        kernel = Weight((*path, name, "kernel"), weight, (3 * width, width), LINEAR, part=part)
        table += [kernel, Weight((*path, name, "bias"), bias, (3 * width,), part=part)]
    return table


def stacked(table: list[Weight], layers: int) -> list[Weight]:
    """The same weights in each of so many layers; `{layer}` stands in their names."""
    return [dataclasses.replace(weight, layers=layers) for weight in table]


def transformers_blocks(tower: str, config: Layers) -> list[Weight]:
    """The blocks of the "vision" or "text" tower, as transformers names them in most models."""
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    path, layer = (tower, "blocks"), f"{tower}_model.encoder.layers.{{layer}}"
    table = [
        *norm((*path, "attention_norm"), f"{layer}.layer_norm1", width),
        *linear((*path, "query"), f"{layer}.self_attn.q_proj", (width, width)),
        *linear((*path, "key"), f"{layer}.self_attn.k_proj", (width, width)),
        *linear((*path, "value"), f"{layer}.self_attn.v_proj", (width, width)),
        *linear((*path, "attention_out"), f"{layer}.self_attn.out_proj", (width, width)),
        *norm((*path, "mlp_norm"), f"{layer}.layer_norm2", width),
        *linear((*path, "mlp_in"), f"{layer}.mlp.fc1", (inner, width)),
        *linear((*path, "mlp_out"), f"{layer}.mlp.fc2", (width, inner)),
    ]
    return stacked(table, layers)
