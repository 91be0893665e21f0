"""The shape of a CLIP model, read from and written as Hugging Face's `config.json`."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError, unknown
from reex_jax.files import home, refuse_pointer
from reex_jax.models.foreign import foreign_layout

HIDDEN_ACTS = ("quick_gelu", "gelu")

# Before 2023 Hugging Face wrote this wrong end token into every config; the model then pools at
# the largest id, as OpenAI's code does (the end token is the last entry of the vocabulary).
LEGACY_EOS_TOKEN_ID = 2

MAX_LAYERS = 1000
MAX_SIZE = 2**24
"""Limits beyond which a number is damaged, not a model: the memory would fill before any error."""


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """Vision tower. Fields and defaults are those of `vision_config` in config.json.

    Raises:
        UserError: a value is impossible, such as a hidden_size that the heads do not divide.
    """

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        sizes = ("num_channels", "image_size", "patch_size")
        _check_tower(self, "vision_config", sizes)
        if self.image_size < self.patch_size:
            raise UserError(
                f"vision_config: image_size {self.image_size} is smaller than patch_size "
                f"{self.patch_size}; an image must hold at least one patch"
            )

    @property
    def patches_per_side(self) -> int:
        """Patches along one side; a remainder at the right and lower edge is not looked at."""
        return self.image_size // self.patch_size

    @property
    def num_positions(self) -> int:
        """Length of the sequence: all patches and the class token."""
        return self.patches_per_side**2 + 1


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """Text tower. Fields and defaults are those of `text_config` in config.json.

    Raises:
        UserError: a value is impossible, such as a hidden_size that the heads do not divide.
    """

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    bos_token_id: int | None = 49406
    eos_token_id: int = 49407
    pad_token_id: int | None = 1

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _check_tower(self, "text_config", ("vocab_size", "max_position_embeddings"))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(self, name)
            if value is None and name != "eos_token_id":
                continue
            if not _is_int(value):
                raise UserError(f"text_config: {name} must be a whole number, not {value!r}")
        if not 0 <= self.eos_token_id < self.vocab_size:
            raise UserError(
                f"text_config: eos_token_id {self.eos_token_id} is not an entry of the vocabulary "
                f"(vocab_size {self.vocab_size}); give the id of the tokenizer's end token"
            )


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """Both towers and the space they share.

    Attributes:
        projection_dim: dimension d of the embeddings.
        logit_scale_init_value: natural logarithm of the initial logit scale (1 / temperature).
    """

    vision: VisionConfig = dataclasses.field(default_factory=VisionConfig)
    text: TextConfig = dataclasses.field(default_factory=TextConfig)
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        _check_positive_ints(self, "config", ("projection_dim",))
        if not _is_number(self.logit_scale_init_value):
            value = self.logit_scale_init_value
            raise UserError(f"config: logit_scale_init_value must be a number, not {value!r}")

    @classmethod
    def from_dict(cls, hf_dict: Mapping[str, Any]) -> "ClipConfig":
        """Read the contents of a Hugging Face config.json; missing keys take HF's defaults.

        Old files also hold `text_config_dict` and `vision_config_dict`: where given, they replace
        `text_config` and `vision_config` as a whole, as in transformers' CLIPConfig.

        Raises:
            UserError: another architecture, an impossible value or an unknown activation.
        """
        _check_architecture(hf_dict)
        top = {
            name: hf_dict[name]
            for name in ("projection_dim", "logit_scale_init_value")
            if name in hf_dict
        }
        return cls(
            vision=VisionConfig(**_section(hf_dict, "vision_config", VisionConfig)),
            text=TextConfig(**_section(hf_dict, "text_config", TextConfig)),
            **top,
        )

    def to_dict(self) -> dict[str, Any]:
        """Contents of a config.json from which transformers builds the same model."""
        projection = {"projection_dim": self.projection_dim}
        vision = {"model_type": "clip_vision_model", **dataclasses.asdict(self.vision)}
        text = {"model_type": "clip_text_model", **dataclasses.asdict(self.text)}
        return {
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": self.projection_dim,
            "logit_scale_init_value": self.logit_scale_init_value,
            "text_config": text | projection,
            "vision_config": vision | projection,
        }


def read_config(folder: str | Path) -> ClipConfig:
    """Read `config.json` of a checkpoint folder.

    Raises:
        UserError: no such folder or file, not JSON, another architecture, an impossible value;
            the message names the file.
    """
    folder = home(folder)
    file = folder / "config.json"
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
    refuse_pointer(file)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({error}); download the file again") from error
    if not isinstance(raw, dict):
        raise UserError(f"{file}: holds a {type(raw).__name__}, not an object of config keys")
    try:
        return ClipConfig.from_dict(raw)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _check_architecture(hf_dict: Mapping[str, Any]) -> None:
    model_type = hf_dict.get("model_type")
    sections = ("text_config", "vision_config", "text_config_dict", "vision_config_dict")
    if model_type == "clip" or (model_type is None and any(name in hf_dict for name in sections)):
        return
    found = "no model_type" if model_type is None else f"model_type {model_type!r}"
    raise UserError(
        f"{found}, but only 'clip' is supported; give a CLIP checkpoint with both towers, "
        "such as openai/clip-vit-base-patch16"
    )


def _section(hf_dict: Mapping[str, Any], name: str, tower: type) -> dict[str, Any]:
    section = hf_dict.get(f"{name}_dict")
    if section is None:
        section = hf_dict.get(name)
    if section is None:
        section = {}
    if not isinstance(section, Mapping):
        raise UserError(f"{name} must be an object of config keys, not {section!r}")
    fields = {field.name for field in dataclasses.fields(tower)}
    return {key: value for key, value in section.items() if key in fields}


def _check_tower(config: Any, where: str, sizes: tuple[str, ...]) -> None:
    widths = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    _check_positive_ints(config, where, widths + sizes)
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"{where}: hidden_size {config.hidden_size} is not divisible by num_attention_heads "
            f"{config.num_attention_heads}"
        )
    if config.hidden_act not in HIDDEN_ACTS:
        raise unknown(f"{where}.hidden_act", config.hidden_act, HIDDEN_ACTS)
    if not _is_number(config.layer_norm_eps) or config.layer_norm_eps <= 0:
        raise UserError(
            f"{where}: layer_norm_eps must be a positive number, not {config.layer_norm_eps!r}"
        )


def _check_positive_ints(config: Any, where: str, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(config, name)
        if not _is_int(value) or value < 1:
            raise UserError(
                f"{where}: {name} must be a whole number of at least 1, not {value!r:.60}"
            )
        largest = MAX_LAYERS if name == "num_hidden_layers" else MAX_SIZE
        if value > largest:
            raise UserError(f"{where}: {name} is {value!r:.60}; no model has more than {largest}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
