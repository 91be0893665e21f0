"""The shape of a SigLIP or SigLIP 2 of fixed resolution, read from Hugging Face's config.json.

Both are one architecture there, `model_type` "siglip"; SigLIP 2 differs in vocabulary and sizes.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.config import (
    check_positive_ints,
    check_tower,
    check_vision,
    read_config_file,
    section,
)
from reex_jax.models.transformer import ACTIVATIONS


@dataclasses.dataclass(frozen=True)
class SiglipVisionConfig:
    """Vision tower. Fields and defaults are those of `vision_config` in config.json.

    Raises:
        UserError: a value is impossible, or there is no head that makes the embedding.
    """

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 16
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    vision_use_head: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_vision(self, tuple(ACTIVATIONS))
        if self.vision_use_head is not True:
            raise UserError(
                f"vision_config: vision_use_head is {self.vision_use_head!r}, but the embedding of "
                "a picture comes from that head (attention pooling)"
            )

    @property
    def num_positions(self) -> int:
        """Length of the sequence: all patches; there is no class token."""
        return (self.image_size // self.patch_size) ** 2


@dataclasses.dataclass(frozen=True)
class SiglipTextConfig:
    """Text tower. Fields and defaults are those of `text_config` in config.json.

    Attributes:
        max_position_embeddings: the length to which all texts are padded.
        projection_size: width of the embeddings; None: hidden_size.

    Raises:
        UserError: a value is impossible.
    """

    vocab_size: int = 32000
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 64
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    projection_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        sizes = ("vocab_size", "max_position_embeddings")
        check_tower(self, "text_config", sizes, tuple(ACTIVATIONS))
        if self.projection_size is not None:
            check_positive_ints(self, "text_config", ("projection_size",))


@dataclasses.dataclass(frozen=True)
class SiglipConfig:
    """Both towers; their embeddings have the width of the vision tower.

    Raises:
        UserError: the towers do not end in one space.
    """

    vision: SiglipVisionConfig = dataclasses.field(default_factory=SiglipVisionConfig)
    text: SiglipTextConfig = dataclasses.field(default_factory=SiglipTextConfig)

    def __post_init__(self) -> None:
        """Refuse towers that do not fit each other."""
        texts = self.text.projection_size or self.text.hidden_size
        if texts != self.projection_dim:
            raise UserError(
                f"texts have embeddings of width {texts} (projection_size, or hidden_size of "
                f"text_config), pictures of width {self.projection_dim} (hidden_size of "
                "vision_config); they must be equal"
            )

    @property
    def projection_dim(self) -> int:
        """Width d of the embeddings."""
        return self.vision.hidden_size

    @classmethod
    def from_dict(cls, hf_dict: Mapping[str, Any]) -> "SiglipConfig":
        """Read the contents of a Hugging Face config.json; missing keys take HF's defaults.

        Raises:
            UserError: another architecture, an impossible value or an unknown activation.
        """
        if hf_dict.get("model_type") != "siglip":
            raise UserError(f"model_type {hf_dict.get('model_type')!r}, but 'siglip' is needed")
        return cls(
            vision=SiglipVisionConfig(**section(hf_dict, "vision_config", SiglipVisionConfig)),
            text=SiglipTextConfig(**section(hf_dict, "text_config", SiglipTextConfig)),
        )


def read_siglip_config(folder: str | Path) -> SiglipConfig:
    """Read `config.json` of a checkpoint folder.

    Raises:
        UserError: as `read_config_file` and `SiglipConfig.from_dict`.
    """
    return read_config_file(folder, SiglipConfig.from_dict)
