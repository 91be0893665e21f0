"""Loads OpenCLIP's checkpoints in open_clip's layout; what comes out is a `Clip`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from reex_jax.errors import UserError, unknown
from reex_jax.models.clip.api import Clip
from reex_jax.models.clip.inputs import check_fit
from reex_jax.models.clip.tokenizer import Tokenizer
from reex_jax.models.clip.tokenizer_files import has_tokenizer
from reex_jax.models.folders import find_checkpoint
from reex_jax.models.open_clip.checkpoint import read_open_clip
from reex_jax.models.open_clip.config import FILE, read_open_clip_config
from reex_jax.models.preprocess import CLIP_MEAN, CLIP_STD, Preprocessing
from reex_jax.models.transformer import compute_dtype

_RESAMPLE = {
    "bicubic": Image.Resampling.BICUBIC.value,
    "bilinear": Image.Resampling.BILINEAR.value,
}
_RESIZE_MODES = ("shortest", "squash")


def load_open_clip(
    path_or_hub_id: str | Path,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> Clip:
    """Loads a checkpoint in open_clip's layout.

    Args:
        path_or_hub_id: a folder, or a hub id, with open_clip_config.json and
            open_clip_model.safetensors, and CLIP's tokenizer files.
        revision: branch, tag or commit of a hub id.
        precision: of matrix products, see `load_clip`.
        preprocessing: "clip" (as the checkpoint's own files say) or "tcr".
        batch_size: pictures or texts that go through the model at once.

    Raises:
        UserError: as `load_clip`; towers of timm or transformers, ResNets and CoCa are refused by
            name.
    """
    dtype = compute_dtype(precision)
    folder = find_checkpoint(path_or_hub_id, revision)
    config = read_open_clip_config(folder)
    model = read_open_clip(folder, compute_dtype=dtype)
    tokenizer = None
    if has_tokenizer(folder):
        tokenizer = Tokenizer.load(folder, max_length=config.clip.text.max_position_embeddings)
        check_fit(tokenizer, config.clip.text, folder)
    size = config.clip.vision.image_size
    try:
        settings = _preprocessing(config.preprocess, size, preprocessing)
    except UserError as error:
        raise UserError(f"{folder / FILE}: {error}") from error
    return Clip(model, tokenizer, settings, folder, batch_size)


def _preprocessing(given: Mapping[str, Any], size: int, mode: str) -> Preprocessing:
    interpolation = given.get("interpolation") or "bicubic"
    if not isinstance(interpolation, str) or interpolation not in _RESAMPLE:
        raise unknown("preprocess_cfg.interpolation", interpolation, _RESAMPLE)
    resize = given.get("resize_mode") or "shortest"
    if resize not in _RESIZE_MODES:
        raise unknown("preprocess_cfg.resize_mode", resize, _RESIZE_MODES)
    try:
        mean, std = (
            tuple(map(float, given.get(key) or default))
            for key, default in (("mean", CLIP_MEAN), ("std", CLIP_STD))
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"preprocess_cfg: mean and std must be numbers: {error}") from error
    return Preprocessing(
        size, mean, std, mode, size, squash=resize == "squash", resample=_RESAMPLE[interpolation]
    )
