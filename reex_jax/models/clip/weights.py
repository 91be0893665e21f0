"""Where each weight of a Hugging Face CLIP checkpoint lives in `ClipModel`: one table.

A weight differs between the two only in the order of its axes, in whether the heads are an axis of
their own, and in the layers being stacked; all three are reshapes and transpositions.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig

# Buffers that older checkpoints carry beside the weights; they hold 0, 1, 2, ... and say nothing.
IGNORED_SUFFIX = ".embeddings.position_ids"

AS_IS: tuple[int, ...] = ()
LINEAR = (1, 0)  # [out, in] -> [in, out]
PATCHES = (2, 3, 1, 0)  # [out, channel, row, column] -> [row, column, channel, out]


@dataclasses.dataclass(frozen=True)
class Weight:
    """One parameter of the model and the tensor or tensors of the checkpoint that hold it.

    Attributes:
        path: path of the parameter in `ClipModel`.
        hf_name: name in the checkpoint, with `{layer}` where the layers are separate tensors.
        hf_shape: shape of one such tensor.
        axes: transposition of one tensor from the checkpoint's order to the model's; () for none.
        layers: number of stacked tensors; None for a parameter outside the blocks.
    """

    path: tuple[str, ...]
    hf_name: str
    hf_shape: tuple[int, ...]
    axes: tuple[int, ...] = AS_IS
    layers: int | None = None

    def hf_names(self) -> list[str]:
        """Names of the checkpoint's tensors, in the order of the layers."""
        return [self.hf_name.format(layer=layer) for layer in range(self.layers or 1)]

    def to_model(self, read: Callable[[str], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """The model's float32 parameter of this shape, from `read(name)` -> array of `hf_shape`.

        Tensors are read one after the other into the result: no second copy of all layers exists.
        """
        result = np.empty(shape, np.float32)
        slots = result if self.layers is not None else result[None]
        for layer, name in enumerate(self.hf_names()):
            tensor = read(name)
            ordered = tensor.transpose(self.axes) if self.axes else tensor
            slots[layer, ...] = ordered.reshape(shape if self.layers is None else shape[1:])
        return result

    def to_hf(self, parameter: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The checkpoint's names and contiguous tensors of the model's parameter."""
        slots = parameter if self.layers is not None else parameter[None]
        ordered_shape = tuple(self.hf_shape[axis] for axis in self.axes) or self.hf_shape
        inverse = tuple(np.argsort(self.axes)) if self.axes else None
        for slot, name in zip(slots, self.hf_names(), strict=True):
            tensor = slot.reshape(ordered_shape)
            # Not np.ascontiguousarray: it makes a vector of a scalar.
            yield name, np.asarray(tensor.transpose(inverse) if inverse else tensor, order="C")


def weight_table(config: ClipConfig) -> list[Weight]:
    """Every parameter of the model, with its place in the checkpoint."""
    vision, text, dim = config.vision, config.text, config.projection_dim
    v, t = vision.hidden_size, text.hidden_size
    patch = (v, vision.num_channels, vision.patch_size, vision.patch_size)
    v_embed, t_embed = "vision_model.embeddings", "text_model.embeddings"
    v_position, t_position = f"{v_embed}.position_embedding", f"{t_embed}.position_embedding"
    return [
        Weight(("logit_scale",), "logit_scale", ()),
        Weight(("vision", "class_embedding"), f"{v_embed}.class_embedding", (v,)),
        Weight(
            ("vision", "patch_embedding", "kernel"),
            f"{v_embed}.patch_embedding.weight",
            patch,
            PATCHES,
        ),
        Weight(("vision", "position_embedding"), f"{v_position}.weight", (vision.num_positions, v)),
        # Hugging Face's spelling.
        *_norm(("vision", "pre_norm"), "vision_model.pre_layrnorm", v),
        *_blocks("vision", vision),
        *_norm(("vision", "post_norm"), "vision_model.post_layernorm", v),
        Weight(("vision", "projection", "kernel"), "visual_projection.weight", (dim, v), LINEAR),
        Weight(
            ("text", "token_embedding"), f"{t_embed}.token_embedding.weight", (text.vocab_size, t)
        ),
        Weight(
            ("text", "position_embedding"),
            f"{t_position}.weight",
            (text.max_position_embeddings, t),
        ),
        *_blocks("text", text),
        *_norm(("text", "final_norm"), "text_model.final_layer_norm", t),
        Weight(("text", "projection", "kernel"), "text_projection.weight", (dim, t), LINEAR),
    ]


def _blocks(tower: str, config: VisionConfig | TextConfig) -> list[Weight]:
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    path, layer = (tower, "blocks"), f"{tower}_model.encoder.layers.{{layer}}"
    table = [
        *_norm((*path, "attention_norm"), f"{layer}.layer_norm1", width),
        *_linear((*path, "query"), f"{layer}.self_attn.q_proj", (width, width)),
        *_linear((*path, "key"), f"{layer}.self_attn.k_proj", (width, width)),
        *_linear((*path, "value"), f"{layer}.self_attn.v_proj", (width, width)),
        *_linear((*path, "attention_out"), f"{layer}.self_attn.out_proj", (width, width)),
        *_norm((*path, "mlp_norm"), f"{layer}.layer_norm2", width),
        *_linear((*path, "mlp_in"), f"{layer}.mlp.fc1", (inner, width)),
        *_linear((*path, "mlp_out"), f"{layer}.mlp.fc2", (width, inner)),
    ]
    return [dataclasses.replace(weight, layers=layers) for weight in table]


def _norm(path: tuple[str, ...], hf_name: str, width: int) -> list[Weight]:
    return [
        Weight((*path, "scale"), f"{hf_name}.weight", (width,)),
        Weight((*path, "bias"), f"{hf_name}.bias", (width,)),
    ]


def _linear(path: tuple[str, ...], hf_name: str, shape: tuple[int, int]) -> list[Weight]:
    return [
        Weight((*path, "kernel"), f"{hf_name}.weight", shape, LINEAR),
        Weight((*path, "bias"), f"{hf_name}.bias", shape[:1]),
    ]
