"""Loads a checkpoint of any family of two-tower models."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.folders import BUNDLED, find_checkpoint, is_open_clip
from reex_jax.models.two_tower import TwoTower

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "clip": "reex_jax.models.clip.api:load_clip",
        "siglip": "reex_jax.models.siglip.api:load_siglip",
        "blip": "reex_jax.models.blip.api:load_blip",
    }
)
"""`model_type` in config.json -> what loads such a model, "module:function"."""

OPEN_CLIP = "reex_jax.models.open_clip.api:load_open_clip"
"""What loads a folder in open_clip's layout."""

# Known, and not supported: why, and what to do.
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "siglip2": "the NaFlex variant of SigLIP 2, whose pictures have no fixed size; take one of "
        "fixed resolution, such as google/siglip2-base-patch16-224",
        "blip-2": "BLIP-2, whose pictures have 32 embeddings each",
    }
)


def load_model(
    path_or_hub_id: str | Path = BUNDLED,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> TwoTower:
    """Loads a checkpoint of any family; its config.json says of which it is.

    The layout is Hugging Face's, or open_clip's where a folder has no other.

    Args:
        path_or_hub_id: see `load_clip`, as all others.
        revision: of a hub id.
        precision: of matrix products.
        preprocessing: "clip" (as the checkpoint's own files say) or "tcr".
        batch_size: pictures or texts that go through the model at once.

    Raises:
        UserError: the checkpoint is missing or damaged, or of a family that is not supported; the
            message lists those that are.
    """
    home = FAMILIES["clip"]
    if path_or_hub_id != BUNDLED:
        path_or_hub_id, revision = find_checkpoint(path_or_hub_id, revision), None
        open_clip = is_open_clip(path_or_hub_id)
        home = OPEN_CLIP if open_clip else FAMILIES[model_type(path_or_hub_id)]
    module, _, name = home.partition(":")
    load = getattr(importlib.import_module(module), name)
    model: TwoTower = load(
        path_or_hub_id, revision, precision, preprocessing=preprocessing, batch_size=batch_size
    )
    return model


def model_type(folder: Path) -> str:
    """The family of a checkpoint folder, a key of FAMILIES.

    A config.json that cannot be read passes for CLIP's, whose reader says what is wrong with it;
    so does one that names no family, since old ones of CLIP do not.

    Raises:
        UserError: another family.
    """
    file = folder / "config.json"
    try:
        config: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return "clip"
    found = config.get("model_type", "clip") if isinstance(config, Mapping) else "clip"
    if not isinstance(found, str) or found not in FAMILIES:
        why = f" ({_REFUSED[found]})" if isinstance(found, str) and found in _REFUSED else ""
        raise UserError(
            f"{file}: model_type {found!r:.60}{why} is not supported; supported: "
            f"{', '.join(FAMILIES)}, and open_clip's layout (open_clip_config.json)"
        )
    return found
