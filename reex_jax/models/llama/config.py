"""The shape of a language model of the Llama family, read from Hugging Face's config.json."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.config import check_positive_ints, is_number, read_config_file

MODEL_TYPE = "llama"
_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
)
# Keys of config.json that would change the numbers, each with the values that change nothing.
_UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "hidden_act": (None, "silu"),
    "quantization_config": (None,),
    "partial_rotary_factor": (None, 1, 1.0),
}


@dataclasses.dataclass(frozen=True)
class LlamaConfig:
    """Fields are those of config.json.

    Attributes:
        head_dim: width of a head; even, since rotary positions turn pairs.
        rope_theta: base of the rotary frequencies.
        tie_word_embeddings: whether the table of tokens is the head too.

    Raises:
        UserError: a value is impossible.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_positive_ints(self, MODEL_TYPE, _SIZES)
        for name in ("rms_norm_eps", "rope_theta"):
            value = getattr(self, name)
            if not is_number(value) or value <= 0:
                raise UserError(f"{name} must be a positive number, not {value!r:.60}")
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                f"num_attention_heads {self.num_attention_heads} is not divisible by "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            raise UserError(f"head_dim is {self.head_dim}; rotary positions need an even one")
        if not isinstance(self.tie_word_embeddings, bool):
            raise UserError(
                f"tie_word_embeddings must be true or false, not {self.tie_word_embeddings!r:.60}"
            )

    @classmethod
    def from_dict(cls, hf_dict: Mapping[str, Any]) -> "LlamaConfig":
        """Read the contents of a Hugging Face config.json; missing keys take HF's defaults.

        Raises:
            UserError: another architecture, a part that is not implemented, or an impossible or
                missing value; the message names the key.
        """
        if hf_dict.get("model_type") != MODEL_TYPE:
            raise UserError(
                f"model_type is {hf_dict.get('model_type')!r:.60}, but only {MODEL_TYPE!r} is read "
                "here (SmolLM2, Llama, TinyLlama); gsr.scorer=transformers takes others"
            )
        for key, harmless in _UNSUPPORTED.items():
            if hf_dict.get(key) not in harmless:
                raise UserError(
                    f"{key} is {hf_dict[key]!r:.60}, which is not implemented; take another model, "
                    "or gsr.scorer=transformers"
                )
        fields = {field.name for field in dataclasses.fields(cls)}
        found = {key: hf_dict[key] for key in fields & set(hf_dict) if hf_dict[key] is not None}
        found["rope_theta"] = _rope_theta(hf_dict)
        found.setdefault("num_key_value_heads", found.get("num_attention_heads"))
        if "head_dim" not in found:
            found["head_dim"] = _head_dim(found)
        missing = sorted(set(_SIZES) - {"max_position_embeddings"} - set(found))
        if missing:
            raise UserError(f"{', '.join(missing)} missing; take the file of the checkpoint anew")
        return cls(**found)


def _head_dim(found: Mapping[str, Any]) -> int:
    """The width shared by the heads, where the file does not say that of one."""
    try:
        width, heads = int(found["hidden_size"]), int(found["num_attention_heads"])
        fits = width % heads == 0
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError("hidden_size and num_attention_heads must be whole numbers") from error
    if not fits:
        raise UserError(f"hidden_size {width} is not divisible by num_attention_heads {heads}")
    return width // heads


def _rope_theta(hf_dict: Mapping[str, Any]) -> Any:
    """The base of the rotary frequencies, in old files (rope_theta) and new (rope_parameters).

    Raises:
        UserError: frequencies that are scaled, which is not implemented.
    """
    for key in ("rope_scaling", "rope_parameters"):
        found = hf_dict.get(key)
        if found is None:
            continue
        if not isinstance(found, Mapping):
            raise UserError(f"{key} must be an object, not {found!r:.60}")
        kind = found.get("rope_type", found.get("type", "default"))
        if kind != "default":
            raise UserError(
                f"{key} is of type {kind!r:.60}, which is not implemented; take another model, or "
                "gsr.scorer=transformers"
            )
        if found.get("rope_theta") is not None:
            return found["rope_theta"]
    return 10000.0 if hf_dict.get("rope_theta") is None else hf_dict["rope_theta"]


def read_llama_config(folder: str | Path) -> LlamaConfig:
    """Read `config.json` of a checkpoint folder.

    Raises:
        UserError: as `read_config_file` and `LlamaConfig.from_dict`.
    """
    return read_config_file(folder, LlamaConfig.from_dict)
