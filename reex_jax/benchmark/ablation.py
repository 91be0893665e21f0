"""Ablations: what a method's settings are worth, each changed while the others stay.

Every variant of `experiment.variants` carries a "group" (what it varies) and a "label" (the value)
beside its name, method and changes.
"""

from collections.abc import Sequence
from dataclasses import replace

from reex_jax.benchmark.methods import check_methods, method_settings
from reex_jax.benchmark.run import run_benchmark
from reex_jax.benchmark.shard import Shard
from reex_jax.errors import UserError
from reex_jax.reporting.ablation_report import REFERENCES, Level
from reex_jax.reporting.rows import Row
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.settings.choices import QUERY_OF
from reex_jax.settings.experiment import Experiment, Variant


def run_ablation(
    experiment: Experiment, arguments: Sequence[str] = (), shard: Shard | None = None
) -> tuple[RunFolder, list[Row], list[Level]]:
    """Measures the variants that `experiment.method` names, and the methods beside them.

    A variant that changes nothing, because its values are the default's, is not measured again.
    With `runlocal` only the first variant of each group that changes something is measured.

    Args:
        experiment: every value of the run.
        arguments: see `run_benchmark`.
        shard: see `run_benchmark`.

    Returns:
        the results folder, its rows, and the levels that they give results of.

    Raises:
        UserError: see `check_ablation` and `run_benchmark`.
    """
    check_ablation(experiment)
    methods = measured_methods(experiment)
    folder, rows = run_benchmark(replace(experiment, method=tuple(methods)), arguments, shard)
    return folder, rows, ablation_levels(experiment, methods)


def check_ablation(experiment: Experiment) -> None:
    """Refuses what cannot be compared, before any work.

    Raises:
        UserError: no variants; one without group or label, or with another's; several methods
            behind them; their method is not measured itself; or no corruption to average over.
    """
    check_methods(experiment)
    own = _variants(experiment)
    if not own:
        raise UserError("method names no variant; an ablation needs some, see variants")
    for variant in own:
        for key in ("group", "label"):
            if not getattr(variant, key).strip():
                raise UserError(f"variant {variant.name!r} needs a {key}, a text")
        if variant.group == REFERENCES:
            raise UserError(
                f"variant {variant.name!r} has the group {REFERENCES!r}, which is kept for "
                "whole methods; name it otherwise"
            )
    places = [(variant.group, variant.label) for variant in own]
    for group, label in places:
        if places.count((group, label)) > 1:
            raise UserError(f"two variants of group {group!r} have the label {label!r}")
    default_method(experiment)
    for direction in experiment.directions:
        if not experiment.kinds(direction):
            raise UserError(
                f"corruptions.{QUERY_OF[direction]} is empty; an ablation of "
                f"{direction} averages over some"
            )


def default_method(experiment: Experiment) -> str:
    """The method that all variants change.

    Raises:
        UserError: there are several, or it is not in `experiment.method`.
    """
    found = list(dict.fromkeys(variant.method for variant in _variants(experiment)))
    if len(found) > 1:
        raise UserError(f"variants change the methods {', '.join(found)}; give those of one only")
    if found[0] not in experiment.method:
        raise UserError(
            f"method lacks {found[0]!r}, which the variants are compared with; add it there"
        )
    return found[0]


def measured_methods(experiment: Experiment) -> list[str]:
    """Names of `experiment.method` without the variants that change nothing in any direction.

    With `runlocal`, without all but the first of those left in each group.
    """
    groups: dict[str, str] = {}
    left_out = set()
    for variant in _variants(experiment):
        name = variant.name
        changes = not all(_is_default(experiment, variant, d) for d in experiment.directions)
        if not changes or (experiment.runlocal and variant.group in groups):
            left_out.add(name)
        else:
            groups[variant.group] = name
    return [name for name in experiment.method if name not in left_out]


def ablation_levels(experiment: Experiment, measured: Sequence[str]) -> list[Level]:
    """Every level with a result: whole methods first, then variants, in the order of the file.

    Args:
        experiment: a configuration that `check_ablation` passed.
        measured: from `measured_methods`.
    """
    names = {variant.name for variant in experiment.variants}
    default = default_method(experiment)
    levels = []
    for direction in experiment.directions:
        levels += [
            Level(direction, REFERENCES, method, method, {}, method == default)
            for method in measured
            if method not in names
        ]
        for variant in _variants(experiment):
            same = _is_default(experiment, variant, direction)
            if variant.name in measured or same:
                group, label, name = variant.group, variant.label, variant.name
                levels.append(Level(direction, group, label, name, variant.changes, same))
    return levels


def _variants(experiment: Experiment) -> list[Variant]:
    """Those that the run asks for, in the order of the file."""
    return [variant for variant in experiment.variants if variant.name in experiment.method]


def _is_default(experiment: Experiment, variant: Variant, direction: str) -> bool:
    changed = method_settings(experiment, variant.name, direction)
    return changed == method_settings(experiment, variant.method, direction)
