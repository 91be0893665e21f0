"""What the readers of all families' configurations share."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from reex_jax.errors import UserError, unknown
from reex_jax.files import home, read_json
from reex_jax.models.foreign import foreign_layout

C = TypeVar("C")

MAX_LAYERS = 1000
MAX_SIZE = 2**24
"""Limits beyond which a number is damaged, not a model: the memory would fill before any error."""


def read_config_file(
    folder: str | Path, parse: Callable[[Mapping[str, Any]], C], name: str = "config.json"
) -> C:
    """A configuration from a file of a checkpoint folder.

    Raises:
        UserError: no such folder or file, not JSON, or what `parse` refuses; the message names the
            file.
    """
    folder = home(folder)
    file = folder / name
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; give a folder with config.json and model.safetensors"
        )
    if not file.is_file():
        if foreign := foreign_layout(folder):
            raise foreign
        raise UserError(
            f"{file}: not found; a checkpoint folder in Hugging Face's layout needs config.json "
            "beside its model.safetensors (copy both from the model's page)"
        )
    raw = read_json(file)
    try:
        return parse(raw)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def section(hf_dict: Mapping[str, Any], name: str, tower: type) -> dict[str, Any]:
    """The keys of `text_config` or `vision_config` that a dataclass has as fields.

    Old files also hold `text_config_dict` and `vision_config_dict`: these come first.

    Raises:
        UserError: it is no object.
    """
    found = hf_dict.get(f"{name}_dict")
    if found is None:
        found = hf_dict.get(name)
    if found is None:
        found = {}
    if not isinstance(found, Mapping):
        raise UserError(f"{name} must be an object of config keys, not {found!r:.60}")
    fields = {field.name for field in dataclasses.fields(tower)}
    return {key: value for key, value in found.items() if key in fields}


OPENAI_ACTS = ("quick_gelu", "gelu")


def check_vision(config: Any, hidden_acts: tuple[str, ...] = OPENAI_ACTS) -> None:
    """Raises UserError if a vision tower's values are impossible."""
    sizes = ("num_channels", "image_size", "patch_size")
    check_tower(config, "vision_config", sizes, hidden_acts)
    if config.image_size < config.patch_size:
        raise UserError(
            f"vision_config: image_size {config.image_size} is smaller than patch_size "
            f"{config.patch_size}; an image must hold at least one patch"
        )


def check_tower(
    config: Any,
    where: str,
    sizes: tuple[str, ...],
    hidden_acts: tuple[str, ...] = OPENAI_ACTS,
) -> None:
    """Raises UserError if a tower's widths do not fit, or its activation is unknown."""
    widths = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    check_positive_ints(config, where, widths + sizes)
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"{where}: hidden_size {config.hidden_size} is not divisible by num_attention_heads "
            f"{config.num_attention_heads}"
        )
    if config.hidden_act not in hidden_acts:
        raise unknown(f"{where}.hidden_act", config.hidden_act, hidden_acts)
    if not is_number(config.layer_norm_eps) or config.layer_norm_eps <= 0:
        raise UserError(
            f"{where}: layer_norm_eps must be a positive number, not {config.layer_norm_eps!r:.60}"
        )


def check_positive_ints(config: Any, where: str, names: tuple[str, ...]) -> None:
    """Raises UserError unless each is a whole number from 1 that a model may have."""
    for name in names:
        value = getattr(config, name)
        if not is_int(value) or value < 1:
            raise UserError(
                f"{where}: {name} must be a whole number of at least 1, not {value!r:.60}"
            )
        largest = MAX_LAYERS if name == "num_hidden_layers" else MAX_SIZE
        if value > largest:
            raise UserError(f"{where}: {name} is {value!r:.60}; no model has more than {largest}")


def is_int(value: object) -> bool:
    """A whole number, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """A finite number, and no bool."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # so for no NaN, and for no int that float() refuses
