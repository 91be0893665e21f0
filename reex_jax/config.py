"""Every setting of a benchmark run, and the check that refuses impossible ones before any work."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from reex_jax.checks import (
    Check,
    check_arguments,
    check_values,
    filled,
    flag,
    folder_name,
    integer,
    integers,
    one_of,
    some_of,
    text,
)
from reex_jax.clip.choices import MODES, PRECISIONS
from reex_jax.corruptions.image import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text import TEXT_CORRUPTIONS
from reex_jax.datasets.load import DATA_SETS
from reex_jax.datasets.retrieval_set import DIRECTIONS
from reex_jax.datasets.scenes import SPLITS
from reex_jax.datasets.skipped import ON_ERROR
from reex_jax.errors import UserError
from reex_jax.gsr.settings import CHECKS as GSR_CHECKS
from reex_jax.gsr.settings import check_gsr, default_gsr

METHODS = ("none",)


def default_config() -> ConfigDict:
    """All keys with their defaults: the embedded benchmark, clean queries, no adaptation."""
    return ConfigDict(
        {
            "name": "benchmark",
            "method": "none",
            "checkpoint": "bundled",
            "revision": "",
            "precision": "auto",
            "data": {
                "name": "scenes",
                "root": "",
                "captions_file": "",
                # split, seed and num_images choose scenes; a folder is used whole.
                "split": "test",
                "seed": 0,
                "num_images": 1000,
                "preprocessing": "clip",
                "on_error": "raise",
            },
            "directions": DIRECTIONS,
            "corruptions": {"clean": True, "image": (), "text": (), "severities": (5,)},
            "gsr": default_gsr(),
            "seeds": (0,),
            "batch_size": 64,
            "results": "results",
            "run_id": "",
            "progress": True,
            "runlocal": False,
        }
    )


def shrink(config: ConfigDict) -> ConfigDict:
    """A copy that a laptop runs in seconds: 50 images, one corruption a modality, one seed.

    `severities` keeps its first value too; a user's own folder is not cut.
    """
    small = ConfigDict(config.to_dict())
    small.data.num_images = min(50, config.data.num_images)
    small.corruptions.image = tuple(config.corruptions.image)[:1]
    small.corruptions.text = tuple(config.corruptions.text)[:1]
    small.corruptions.severities = tuple(config.corruptions.severities)[:1]
    small.seeds = tuple(config.seeds)[:1]
    return small


def _run_id(key: str, value: Any) -> None:
    if value != "":  # empty: derived from the configuration
        folder_name(key, value)


_EXAMPLE = "experiments/scenes_c.py"
_CHECKS: dict[str, Check] = {
    "name": folder_name,
    "method": one_of(METHODS),
    "checkpoint": filled,
    "revision": text,
    "precision": one_of(PRECISIONS),
    "data.name": one_of(DATA_SETS),
    "data.root": text,
    "data.captions_file": text,
    "data.split": one_of(SPLITS),
    "data.seed": integer(0),
    "data.num_images": integer(1),
    "data.preprocessing": one_of(MODES),
    "data.on_error": one_of(ON_ERROR),
    "directions": some_of(DIRECTIONS, empty=False),
    "corruptions.clean": flag,
    "corruptions.image": some_of(IMAGE_CORRUPTIONS, empty=True),
    "corruptions.text": some_of(TEXT_CORRUPTIONS, empty=True),
    "corruptions.severities": integers(1, 7),
    **{f"gsr.{key}": check for key, check in GSR_CHECKS.items()},
    "seeds": integers(0),
    "batch_size": integer(1, 65536),
    "results": filled,
    "run_id": _run_id,
    "progress": flag,
    "runlocal": flag,
}


def check_command_line(argv: Sequence[str]) -> None:
    """Refuses what absl would answer with a traceback; call it before the flags are parsed.

    Args:
        argv: the command line, its first item being the program.

    Raises:
        UserError: a `--config.key` that does not exist, or a configuration file that does not.
    """
    check_arguments(argv, _CHECKS, _EXAMPLE)


def check_config(config: ConfigDict) -> None:
    """Refuses what cannot run.

    Raises:
        UserError: naming the key, its value and what is allowed: an unknown or missing key, a
            value out of range, a severity that a corruption lacks, streams without any query.
    """
    check_values(config.to_dict(), _CHECKS, _EXAMPLE)
    _check_together(config)


def _check_together(config: ConfigDict) -> None:
    check_gsr(config)
    highest = {name: kind.severities for name, kind in IMAGE_CORRUPTIONS.items()}
    highest |= {name: kind.severities for name, kind in TEXT_CORRUPTIONS.items()}
    for name in (*config.corruptions.image, *config.corruptions.text):
        high = highest[name]
        too_high = [s for s in config.corruptions.severities if s > high]
        if too_high:
            raise UserError(
                f"corruptions.severities has {too_high[0]}, but {name} ends at severity {high}; "
                "run it in an experiment of its own"
            )
    if config.data.name == "folder" and not config.data.root:
        raise UserError("data.name is 'folder', so data.root must name the folder")
    for key in ("root", "captions_file"):
        if config.data.name != "folder" and config.data[key]:
            raise UserError(
                f"data.{key} is {config.data[key]!r}, but data.name is {config.data.name!r}, which "
                "reads no files; set data.name to 'folder'"
            )
    by_direction = {
        "image_to_text": config.corruptions.image,
        "text_to_image": config.corruptions.text,
    }
    for direction in config.directions:
        if not config.corruptions.clean and not by_direction[direction]:
            raise UserError(
                f"{direction} has no stream: corruptions.clean is False and it has no corruption"
            )
