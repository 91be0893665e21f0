"""Loads a checkpoint of any family of two-tower models."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reex_jax.errors import UserError
from reex_jax.models.folders import BUNDLED, find_checkpoint
from reex_jax.models.two_tower import TwoTower

FAMILIES: Mapping[str, str] = MappingProxyType({"clip": "reex_jax.models.clip.api:load_clip"})
"""`model_type` in config.json -> what loads such a model, "module:function"."""


def load_model(
    path_or_hub_id: str | Path = BUNDLED,
    revision: str | None = None,
    precision: str = "auto",
    *,
    preprocessing: str = "clip",
    batch_size: int = 64,
) -> TwoTower:
    """Loads a checkpoint in Hugging Face's layout; its config.json says of which family it is.

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
    family = "clip"
    if path_or_hub_id != BUNDLED:
        path_or_hub_id, revision = find_checkpoint(path_or_hub_id, revision), None
        family = model_type(path_or_hub_id)
    module, _, name = FAMILIES[family].partition(":")
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
        raise UserError(
            f"{file}: model_type {found!r} is not supported; supported: {', '.join(FAMILIES)}"
        )
    return str(found)
