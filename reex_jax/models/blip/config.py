"""The shape of a BLIP model for image-text retrieval, read from Hugging Face's config.json."""

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
    read_config_file,
    section,
)

ARCHITECTURE = "BlipForImageTextRetrieval"


@dataclasses.dataclass(frozen=True)
class BlipVisionConfig:
    """Vision tower. Fields and defaults are those of `vision_config` in config.json.

    Raises:
        UserError: a value is impossible, such as a hidden_size that the heads do not divide.
    """

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    image_size: int = 384
    patch_size: int = 16
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    num_channels: int = 3

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_vision(self)

    @property
    def num_positions(self) -> int:
        """Length of the sequence: all patches and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1


@dataclasses.dataclass(frozen=True)
class BlipTextConfig:
    """Text tower, a BERT. Fields and defaults are those of `text_config` in config.json.

    Raises:
        UserError: a value is impossible.
    """

    vocab_size: int = 30524
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 512
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_tower(self, "text_config", ("vocab_size", "max_position_embeddings"))
        if not is_int(self.pad_token_id) or not 0 <= self.pad_token_id < self.vocab_size:
            raise UserError(
                f"text_config: pad_token_id {self.pad_token_id!r:.60} is not an entry of the "
                f"vocabulary (vocab_size {self.vocab_size})"
            )


@dataclasses.dataclass(frozen=True)
class BlipConfig:
    """Both towers and the space they share.

    Attributes:
        projection_dim: dimension d of the embeddings, `image_text_hidden_size` in the file.
    """

    vision: BlipVisionConfig = dataclasses.field(default_factory=BlipVisionConfig)
    text: BlipTextConfig = dataclasses.field(default_factory=BlipTextConfig)
    projection_dim: int = 256

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_positive_ints(self, "config", ("projection_dim",))

    @classmethod
    def from_dict(cls, hf_dict: Mapping[str, Any]) -> "BlipConfig":
        """Read the contents of a Hugging Face config.json; missing keys take HF's defaults.

        Raises:
            UserError: another architecture (BLIP's captioning and question answering have no
                common space), an impossible value or an unknown activation.
        """
        found = hf_dict.get("architectures") or [ARCHITECTURE]
        listed = isinstance(found, list) and ARCHITECTURE in found
        if hf_dict.get("model_type") != "blip" or not listed:
            raise UserError(
                f"model_type {hf_dict.get('model_type')!r:.60} with architectures {found!r:.60}; "
                f"of BLIP, only {ARCHITECTURE} has pictures and texts in one space, such as "
                "Salesforce/blip-itm-base-coco"
            )
        return cls(
            vision=BlipVisionConfig(**section(hf_dict, "vision_config", BlipVisionConfig)),
            text=BlipTextConfig(**section(hf_dict, "text_config", BlipTextConfig)),
            projection_dim=hf_dict.get("image_text_hidden_size", 256),
        )


def read_blip_config(folder: str | Path) -> BlipConfig:
    """Read `config.json` of a checkpoint folder.

    Raises:
        UserError: as `read_config_file` and `BlipConfig.from_dict`.
    """
    return read_config_file(folder, BlipConfig.from_dict)
