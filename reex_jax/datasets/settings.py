"""The settings `data.*` of a run: their defaults, and the checks that refuse impossible ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ml_collections import ConfigDict

from reex_jax.errors import UserError
from reex_jax.settings import presets
from reex_jax.settings.checks import Check, integer, one_of, text
from reex_jax.settings.choices import MODES, ON_ERROR, SCENES_SPLITS

FOLDER, KARPATHY, SCENES, TFDS = "folder", "karpathy", "scenes", "tfds"
DATA_SETS = (SCENES, FOLDER, KARPATHY, TFDS)


def data_defaults() -> dict[str, Any]:
    """Every key of `data`: 1,000 generated scenes."""
    return {
        "name": SCENES,
        # Where the data lies, and what is what in it.
        "root": "",
        "preset": "",
        "captions_file": "",
        "images": "",
        # Which part of it: seed and num_images choose scenes, max_images (0: all) files.
        "split": "test",
        "seed": 0,
        "num_images": 1000,
        "max_images": 0,
        # Published corruptions instead of our own.
        "released_images": "",
        "released_captions": "",
        # How it is read.
        "preprocessing": "clip",
        "on_error": "raise",
        "workers": 2,
        "cache": "",
    }


DATA_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "data.name": one_of(DATA_SETS),
        "data.root": text,
        "data.preset": one_of(("", *presets.PRESETS)),
        "data.captions_file": text,
        "data.images": text,
        "data.split": one_of(dict.fromkeys((*SCENES_SPLITS, *presets.SPLITS))),
        "data.seed": integer(0),
        "data.num_images": integer(1),
        "data.max_images": integer(0),
        "data.released_images": text,
        "data.released_captions": text,
        "data.preprocessing": one_of(MODES),
        "data.on_error": one_of(ON_ERROR),
        "data.workers": integer(0, 256),
        "data.cache": text,
    }
)

_READ_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "root": (FOLDER, KARPATHY, TFDS),
        "preset": (KARPATHY, TFDS),
        "captions_file": (FOLDER, KARPATHY),
        "images": (KARPATHY,),
        "max_images": (FOLDER, KARPATHY, TFDS),
        "released_images": (KARPATHY, TFDS),
        "released_captions": (KARPATHY, TFDS),
    }
)
"""Keys that some data sets do not read; there they must stay empty."""


def check_data(data: ConfigDict) -> None:
    """Refuses settings `data.*` that do not fit each other; each has passed its own check.

    Raises:
        UserError: naming the keys, their values and what to do.
    """
    for key, readers in _READ_BY.items():
        if data[key] and data.name not in readers:
            raise UserError(
                f"data.{key} is {data[key]!r}, but data.name is {data.name!r}, which does not read "
                f"it; set data.name to {' or '.join(map(repr, readers))}"
            )
    if data.name in _READ_BY["root"] and not data.root:
        raise UserError(f"data.name is {data.name!r}, so data.root must name the folder")
    if data.name == KARPATHY and not data.preset and not data.captions_file:
        raise UserError(
            "data.name is 'karpathy', so data.preset must be one of "
            f"{', '.join(presets.PRESETS)}, or data.captions_file name the JSON file"
        )
    splits = {SCENES: tuple(SCENES_SPLITS), KARPATHY: presets.SPLITS}.get(data.name)
    if splits and data.split not in splits:
        raise UserError(
            f"data.split is {data.split!r}, but data set {data.name!r} has {', '.join(splits)}"
        )
    _check_released(data)


def _check_released(data: ConfigDict) -> None:
    for key in ("released_images", "released_captions"):
        if data[key] and not data.preset:
            raise UserError(
                f"data.{key} is {data[key]!r}, so data.preset must say how its folders are named: "
                f"{', '.join(presets.PRESETS)}"
            )
        if data[key] and data.split != "test":
            raise UserError(
                f"data.{key} is {data[key]!r}, but data.split is {data.split!r}; corruptions were "
                "released for the split 'test' only"
            )


def shrink_data(data: ConfigDict, images: int = 50) -> ConfigDict:
    """A copy with at most so many images, of whatever data set."""
    small = ConfigDict(data.to_dict())
    small.num_images = min(images, data.num_images)
    if data.name in _READ_BY["max_images"]:
        small.max_images = min(images, data.max_images or images)
    return small
