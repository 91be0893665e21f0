"""Ablations: what a method's settings are worth, each changed while the others stay.

Every variant of `config.variants` carries a "group" (what it varies) and a "label" (the value)
beside its name, method and changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from reex_jax.benchmark.methods import check_methods, method_settings
from reex_jax.benchmark.run import run_benchmark
from reex_jax.config import check_config
from reex_jax.errors import UserError
from reex_jax.reporting.ablation_report import REFERENCES, Level
from reex_jax.reporting.run_folder import Row, RunFolder
from reex_jax.settings.choices import IMAGE_TO_TEXT

Variant = Mapping[str, Any]


def run_ablation(
    config: ConfigDict, arguments: Sequence[str] = ()
) -> tuple[RunFolder, list[Row], list[Level]]:
    """Measures the variants that `config.method` names, and the methods beside them.

    A variant that changes nothing, because its values are the default's, is not measured again.
    With `runlocal` only the first variant of each group that changes something is measured.

    Args:
        config: every value of the run.
        arguments: see `run_benchmark`.

    Returns:
        the results folder, its rows, and the levels that they give results of.

    Raises:
        UserError: see `check_ablation` and `run_benchmark`.
    """
    check_ablation(config)
    methods = measured_methods(config)
    smaller = ConfigDict(config.to_dict())
    smaller.method = tuple(methods)
    folder, rows = run_benchmark(smaller, arguments)
    return folder, rows, ablation_levels(config, methods)


def check_ablation(config: ConfigDict) -> None:
    """Refuses what cannot be compared, before any work.

    Raises:
        UserError: no variants; one without group or label, or with another's; several methods
            behind them; their method is not measured itself; or no corruption to average over.
    """
    check_config(config)
    check_methods(config)
    own = _variants(config)
    if not own:
        raise UserError("method names no variant; an ablation needs some, see variants")
    for variant in own:
        for key in ("group", "label"):
            if not isinstance(variant.get(key), str) or not variant[key].strip():
                raise UserError(f"variant {variant['name']!r} needs a {key}, a text")
        if variant["group"] == REFERENCES:
            raise UserError(
                f"variant {variant['name']!r} has the group {REFERENCES!r}, which is kept for "
                "whole methods; name it otherwise"
            )
    places = [(variant["group"], variant["label"]) for variant in own]
    for group, label in places:
        if places.count((group, label)) > 1:
            raise UserError(f"two variants of group {group!r} have the label {label!r}")
    default_method(config)
    for direction in config.directions:
        key = "image" if direction == IMAGE_TO_TEXT else "text"
        if not config.corruptions[key]:
            raise UserError(
                f"corruptions.{key} is empty; an ablation of {direction} averages over some"
            )


def default_method(config: ConfigDict) -> str:
    """The method that all variants change.

    Raises:
        UserError: there are several, or it is not in `config.method`.
    """
    found = list(dict.fromkeys(variant["method"] for variant in _variants(config)))
    if len(found) > 1:
        raise UserError(f"variants change the methods {', '.join(found)}; give those of one only")
    if found[0] not in config.method:
        raise UserError(
            f"method lacks {found[0]!r}, which the variants are compared with; add it there"
        )
    return found[0]


def measured_methods(config: ConfigDict) -> list[str]:
    """Names of `config.method` without the variants that change nothing in any direction.

    With `runlocal`, without all but the first of those left in each group.
    """
    groups: dict[str, str] = {}
    left_out = set()
    for variant in _variants(config):
        name = variant["name"]
        changes = not all(_is_default(config, variant, d) for d in config.directions)
        if not changes or (config.runlocal and variant["group"] in groups):
            left_out.add(name)
        else:
            groups[variant["group"]] = name
    return [name for name in config.method if name not in left_out]


def ablation_levels(config: ConfigDict, measured: Sequence[str]) -> list[Level]:
    """Every level with a result: whole methods first, then variants, in the order of the file.

    Args:
        config: a configuration that `check_ablation` passed.
        measured: from `measured_methods`.
    """
    names = {variant["name"] for variant in config.variants}
    default = default_method(config)
    levels = []
    for direction in config.directions:
        levels += [
            Level(direction, REFERENCES, method, method, {}, method == default)
            for method in measured
            if method not in names
        ]
        for variant in _variants(config):
            same = _is_default(config, variant, direction)
            if variant["name"] in measured or same:
                group, label, name = variant["group"], variant["label"], variant["name"]
                levels.append(Level(direction, group, label, name, variant["changes"], same))
    return levels


def _variants(config: ConfigDict) -> list[Variant]:
    """Those that the run asks for, in the order of the file."""
    return [variant for variant in config.variants if variant["name"] in config.method]


def _is_default(config: ConfigDict, variant: Variant, direction: str) -> bool:
    changed = method_settings(config, variant["name"], direction)
    return changed == method_settings(config, variant["method"], direction)
