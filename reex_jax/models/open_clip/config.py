"""The shape of an OpenCLIP model, read from `open_clip_config.json`: a CLIP by other names.

Every key of open_clip's configuration is known here. Those that make another architecture are
refused by name unless they have their default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.clip.config import LEGACY_EOS_TOKEN_ID, ClipConfig, TextConfig, VisionConfig
from reex_jax.models.config import MAX_SIZE, is_int, is_number, read_config_file

FILE = "open_clip_config.json"

# What we do not have, with the only value that may be given; None also where the key is absent.
_CUSTOM_BLOCKS = {
    "ls_init_value": None,
    "block_type": None,
    "act_kwargs": None,
    "qk_norm": False,
    "scaled_cosine_attn": False,
    "scale_heads": False,
    "scale_attn_inner": False,
    "scale_attn": False,
    "scale_fc": False,
    "final_ln_after_pool": False,
    "output_tokens": False,
}
_VISION_FIXED: Mapping[str, Any] = MappingProxyType(
    _CUSTOM_BLOCKS
    | {
        "attentional_pool": False,
        "no_ln_pre": False,
        "pos_embed_type": "learnable",
        "pool_type": "tok",
    }
)
_TEXT_FIXED: Mapping[str, Any] = MappingProxyType(
    _CUSTOM_BLOCKS
    | {
        "embed_cls": False,
        "no_causal_mask": False,
        "use_pad_mask": False,
        "proj_bias": False,
        "proj_type": "linear",
        "tokenizer_mode": None,
    }
)
_VISION_KEYS = ("layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size")
_TEXT_KEYS = ("layers", "width", "heads", "mlp_ratio", "context_length", "vocab_size")
_OF_TRAINING = ("patch_dropout", "attn_pooler_queries", "attn_pooler_heads")
_OF_TOKENS = ("pool_type", "eos_id", "pad_id", "hf_tokenizer_name", "tokenizer_kwargs")
_TOP = (
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_scale",
    "init_logit_bias",
    "nonscalar_logit_scale",
)


@dataclass(frozen=True)
class OpenClipConfig:
    """What open_clip_config.json says.

    Attributes:
        clip: the model.
        text_prefix: of the names of the text tower's tensors, "" or "text.".
        scalar: whether logit_scale is a scalar, or one value in a vector.
        preprocess: the section `preprocess_cfg`.
    """

    clip: ClipConfig
    text_prefix: str
    scalar: bool
    preprocess: Mapping[str, Any]

    @classmethod
    def from_dict(cls, contents: Mapping[str, Any]) -> "OpenClipConfig":
        """Reads the contents of the file.

        Raises:
            UserError: a part of the model is not CLIP's, or a value is impossible.
        """
        model = _section(contents, "model_cfg")
        _refuse_others(model)
        vision, text = _section(model, "vision_cfg"), _section(model, "text_cfg")
        _check_keys("model_cfg", model, _TOP, {})
        act = "quick_gelu" if model.get("quick_gelu") else "gelu"
        dim = model.get("embed_dim", 512)
        clip = ClipConfig(_vision(vision, act), _text(text, act), projection_dim=dim)
        return cls(
            clip,
            text_prefix="text." if model.get("custom_text") else "",
            scalar=not model.get("nonscalar_logit_scale"),
            preprocess=_section(contents, "preprocess_cfg", {}),
        )


def read_open_clip_config(folder: str | Path) -> OpenClipConfig:
    """Reads `open_clip_config.json` of a checkpoint folder.

    Raises:
        UserError: as `read_config_file` and `OpenClipConfig.from_dict`.
    """
    return read_config_file(folder, OpenClipConfig.from_dict, FILE)


def _refuse_others(model: Mapping[str, Any]) -> None:
    vision, text = _section(model, "vision_cfg"), _section(model, "text_cfg")
    if name := vision.get("timm_model_name"):
        more = ""
        if "siglip" in str(name).lower():
            more = "; Google's repositories of SigLIP load, such as google/siglip-base-patch16-224"
        raise UserError(
            f"vision_cfg.timm_model_name is {name!r}: towers of timm are not supported, only "
            f"open_clip's own ViT{more}"
        )
    if name := text.get("hf_model_name"):
        raise UserError(
            f"text_cfg.hf_model_name is {name!r}: text towers of transformers are not supported, "
            "only open_clip's own causal one"
        )
    if isinstance(vision.get("layers"), list):
        raise UserError("vision_cfg.layers is a list: ResNets are not supported, only ViT")
    if "multimodal_cfg" in model:
        raise UserError("multimodal_cfg is there: CoCa is not supported, only CLIP's two towers")


def _vision(vision: Mapping[str, Any], act: str) -> VisionConfig:
    _check_keys("vision_cfg", vision, (*_VISION_KEYS, *_OF_TRAINING), _VISION_FIXED)
    width, head = vision.get("width", 768), vision.get("head_width", 64)
    return VisionConfig(
        hidden_size=width,
        intermediate_size=_inner("vision_cfg", vision, width),
        num_hidden_layers=vision.get("layers", 12),
        num_attention_heads=_heads(width, head),
        image_size=_square("image_size", vision.get("image_size", 224)),
        patch_size=_square("patch_size", vision.get("patch_size", 16)),
        hidden_act=act,
        layer_norm_eps=_eps("vision_cfg", vision),
    )


def _text(text: Mapping[str, Any], act: str) -> TextConfig:
    _check_keys("text_cfg", text, (*_TEXT_KEYS, *_OF_TOKENS), _TEXT_FIXED)
    pool = text.get("pool_type", "argmax")
    if pool not in ("argmax", "eos"):
        raise UserError(
            f"text_cfg.pool_type is {pool!r:.60}; known are 'argmax' and 'eos', the end token"
        )
    width = text.get("width", 512)
    return TextConfig(
        vocab_size=text.get("vocab_size", 49408),
        hidden_size=width,
        intermediate_size=_inner("text_cfg", text, width),
        num_hidden_layers=text.get("layers", 12),
        num_attention_heads=text.get("heads", 8),
        max_position_embeddings=text.get("context_length", 77),
        hidden_act=act,
        layer_norm_eps=_eps("text_cfg", text),
        # ClipConfig's sign for the largest id.
        eos_token_id=text.get("eos_id", 2) if pool == "eos" else LEGACY_EOS_TOKEN_ID,
    )


def _check_keys(
    where: str, given: Mapping[str, Any], known: tuple[str, ...], fixed: Mapping[str, Any]
) -> None:
    for key, value in given.items():
        if key in fixed and value not in (fixed[key], None):
            raise UserError(
                f"{where}.{key} is {value!r:.60}, which is not supported, only {fixed[key]!r}"
            )
        timm = where == "vision_cfg" and key.startswith("timm_")
        hugging_face = where == "text_cfg" and key.startswith("hf_")
        if key not in (*known, *fixed, "norm_kwargs") and not (timm or hugging_face):
            raise UserError(
                f"{where}.{key} is not known, so the model may be another than it seems; known: "
                f"{', '.join(sorted((*known, *fixed)))}"
            )


def _section(contents: Mapping[str, Any], name: str, default: Any = None) -> Mapping[str, Any]:
    found = contents.get(name, default)
    if not isinstance(found, Mapping):
        raise UserError(f"{name} must be an object of keys, not {found!r:.60}")
    return found


def _inner(where: str, section: Mapping[str, Any], width: Any) -> int:
    ratio = section.get("mlp_ratio", 4.0)
    if not is_number(ratio) or not is_int(width) or max(abs(ratio), abs(width)) > MAX_SIZE:
        raise UserError(
            f"{where}: width {width!r:.60} and mlp_ratio {ratio!r:.60} must be numbers up to "
            f"{MAX_SIZE}"
        )
    return int(width * ratio)


def _heads(width: Any, head_width: Any) -> int:
    if not is_int(width) or not is_int(head_width) or not 0 < head_width <= width:
        raise UserError(
            f"vision_cfg: width {width!r:.60} holds no heads of head_width {head_width!r:.60}"
        )
    return int(width // head_width)


def _square(key: str, size: Any) -> int:
    if isinstance(size, list) and len(size) == 2 and size[0] == size[1]:
        size = size[0]
    if not is_int(size):
        raise UserError(f"vision_cfg.{key} is {size!r:.60}; only squares are supported")
    return int(size)


def _eps(where: str, section: Mapping[str, Any]) -> float:
    given = section.get("norm_kwargs") or {}
    if not isinstance(given, Mapping) or not set(given) <= {"eps"}:
        raise UserError(f"{where}.norm_kwargs is {given!r:.60}; known is only eps")
    return given.get("eps", 1e-5)
