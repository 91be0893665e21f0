"""The shape of a CLIP model, read from and written as Hugging Face's `config.json`."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.config import (
    check_positive_ints,
    check_tower,
    check_vision,
    is_int,
    is_number,
    read_config_file,
    section,
)

# Before 2023 Hugging Face wrote this wrong end token into every config; the model then pools at
# the largest id, as OpenAI's code does (the end token is the last entry of the vocabulary).
LEGACY_EOS_TOKEN_ID = 2


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
        check_vision(self)

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
        check_tower(self, "text_config", ("vocab_size", "max_position_embeddings"))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(self, name)
            if value is None and name != "eos_token_id":
                continue
            if not is_int(value):
                raise UserError(f"text_config: {name} must be a whole number, not {value!r:.60}")
        if not 0 <= self.eos_token_id < self.vocab_size:
            raise UserError(
                f"text_config: eos_token_id {self.eos_token_id!r:.60} is not an entry of the "
                f"vocabulary (vocab_size {self.vocab_size}); give the id of the tokenizer's end "
                "token"
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
        check_positive_ints(self, "config", ("projection_dim",))
        if not is_number(self.logit_scale_init_value):
            value = self.logit_scale_init_value
            raise UserError(f"config: logit_scale_init_value must be a number, not {value!r:.60}")

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
            vision=VisionConfig(**section(hf_dict, "vision_config", VisionConfig)),
            text=TextConfig(**section(hf_dict, "text_config", TextConfig)),
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
    return read_config_file(folder, ClipConfig.from_dict)


def _check_architecture(hf_dict: Mapping[str, Any]) -> None:
    model_type = hf_dict.get("model_type")
    sections = ("text_config", "vision_config", "text_config_dict", "vision_config_dict")
    if model_type == "clip" or (model_type is None and any(name in hf_dict for name in sections)):
        return
    found = "no model_type" if model_type is None else f"model_type {model_type!r:.60}"
    raise UserError(
        f"{found}, but only 'clip' is supported; give a CLIP checkpoint with both towers, "
        "such as openai/clip-vit-base-patch16"
    )
