"""Every setting of a benchmark run, and the check that refuses impossible ones before any work."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from reex_jax.adaptation.defaults import (
    ADAPT_CHECKS,
    adapt_defaults,
    check_method_names,
    default_settings,
    setting_keys,
)
from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.kinds import TEXT_SEVERITIES
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text.sentences import how_to_make
from reex_jax.datasets.settings import DATA_CHECKS, check_data, data_defaults, shrink_data
from reex_jax.errors import UserError
from reex_jax.gsr.settings import CHECKS as GSR_CHECKS
from reex_jax.gsr.settings import check_gsr, default_gsr
from reex_jax.settings.checks import (
    Check,
    check_arguments,
    check_values,
    filled,
    flag,
    folder_name,
    integer,
    integers,
    names,
    one_of,
    some_of,
    text,
)
from reex_jax.settings.choices import DIRECTIONS, PRECISIONS
from reex_jax.settings.presets import CAPTION_FOLDERS, HIGHEST_SEVERITY


def default_config() -> ConfigDict:
    """All keys with their defaults: the embedded benchmark, clean queries, no adaptation."""
    return ConfigDict(
        {
            "name": "benchmark",
            "method": ("none",),
            "checkpoint": "bundled",
            "revision": "",
            "precision": "auto",
            "data": data_defaults(),
            "directions": DIRECTIONS,
            "corruptions": {
                "clean": True,
                "image": (),
                "text": (),
                # The file in which sentence kinds look up their texts.
                "sentences": "",
                "severities": (5,),
            },
            "gsr": default_gsr(),
            "seeds": (0,),
            "max_queries": 0,
            "batch_size": 64,
            "adapt": adapt_defaults(),
            "settings": default_settings(),
            "variants": (),
            "results": "results",
            "run_id": "",
            "progress": True,
            "runlocal": False,
        }
    )


def shrink(config: ConfigDict) -> ConfigDict:
    """A copy that a laptop runs in seconds: 50 images, one corruption a modality, one seed.

    `severities` keeps its first value too.
    """
    small = ConfigDict(config.to_dict())
    small.data = shrink_data(config.data)
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
    "method": names,
    "checkpoint": filled,
    "revision": text,
    "precision": one_of(PRECISIONS),
    **DATA_CHECKS,
    "directions": some_of(DIRECTIONS, empty=False),
    "corruptions.clean": flag,
    "corruptions.image": some_of(IMAGE_CORRUPTIONS, empty=True),
    "corruptions.text": some_of(TEXT_SEVERITIES, empty=True),
    "corruptions.sentences": text,
    "corruptions.severities": integers(1, HIGHEST_SEVERITY),
    **{f"gsr.{key}": check for key, check in GSR_CHECKS.items()},
    "seeds": integers(0),
    "max_queries": integer(0),
    "batch_size": integer(1, 65536),
    **ADAPT_CHECKS,
    "results": filled,
    "run_id": Check("", _run_id),
    "progress": flag,
    "runlocal": flag,
}


# What these hold depends on the methods.
_OPEN = ("settings", "variants")


def check_command_line(argv: Sequence[str]) -> None:
    """Refuses what absl would answer with a traceback; call it before the flags are parsed.

    Args:
        argv: the command line, its first item being the program.

    Raises:
        UserError: a `--config.key` that does not exist, or a configuration file that does not.
    """
    check_arguments(argv, [*_CHECKS, "variants", *setting_keys()], _EXAMPLE)


def check_config(config: ConfigDict) -> None:
    """Refuses what cannot run.

    Raises:
        UserError: naming the key, its value and what is allowed: an unknown or missing key, a
            value out of range, a severity that a corruption lacks, streams without any query.
    """
    values = config.to_dict()
    missing = [key for key in _OPEN if key not in values]
    if missing:
        raise UserError(f"config keys are missing: {', '.join(missing)}; see {_EXAMPLE}")
    settings, variants = (values.pop(key) for key in _OPEN)
    check_values(values, _CHECKS, _EXAMPLE)
    check_method_names(config.method, variants, settings)
    _check_together(config)


def _check_together(config: ConfigDict) -> None:
    _check_sentences(config)
    check_gsr(config)
    for name in (*config.corruptions.image, *config.corruptions.text):
        high = _highest_severity(config, name)
        too_high = [s for s in config.corruptions.severities if s > high]
        if too_high:
            raise UserError(
                f"corruptions.severities has {too_high[0]}, but {name} ends at severity {high}; "
                "run it in an experiment of its own"
            )
    check_data(config.data)
    by_direction = {
        "image_to_text": config.corruptions.image,
        "text_to_image": config.corruptions.text,
    }
    for direction in config.directions:
        if not config.corruptions.clean and not by_direction[direction]:
            raise UserError(
                f"{direction} has no stream: corruptions.clean is False and it has no corruption"
            )


def _highest_severity(config: ConfigDict, name: str) -> int:
    if name in IMAGE_CORRUPTIONS:
        return IMAGE_CORRUPTIONS[name].severities
    if config.data.released_captions and name in CAPTION_FOLDERS:
        return HIGHEST_SEVERITY  # the files that are missing are named when they are opened
    return TEXT_SEVERITIES[name]


def _check_sentences(config: ConfigDict) -> None:
    """Sentence kinds are read from exactly one place."""
    released, rewritten = config.data.released_captions, config.corruptions.sentences
    kinds = [name for name in config.corruptions.text if name in SENTENCE_KINDS]
    if kinds and not released and not rewritten:
        raise UserError(
            f"corruptions.text has {', '.join(kinds)}, but neither corruptions.sentences nor "
            f"data.released_captions says where the texts are; {how_to_make(kinds)}"
        )
    if kinds and released and rewritten:
        raise UserError(
            f"corruptions.text has {', '.join(kinds)}, and both corruptions.sentences "
            f"({rewritten!r}) and data.released_captions ({released!r}) say where the texts are; "
            "empty one of them"
        )
