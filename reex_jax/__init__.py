"""Robust cross-modal retrieval with CLIP under query shift, in JAX and Flax.

The names below are loaded on first use, so that parts which need no model start at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reex_jax.adaptation.adapter import Adapter
    from reex_jax.adaptation.inputs import RepairedQueries
    from reex_jax.models.clip.api import Clip, load_clip
    from reex_jax.models.load import load_model

__all__ = ["Adapter", "Clip", "RepairedQueries", "load_clip", "load_model"]
__version__ = "0.1.0"

_HOMES = {
    "Adapter": "reex_jax.adaptation.adapter",
    "Clip": "reex_jax.models.clip.api",
    "RepairedQueries": "reex_jax.adaptation.inputs",
    "load_clip": "reex_jax.models.clip.api",
    "load_model": "reex_jax.models.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
