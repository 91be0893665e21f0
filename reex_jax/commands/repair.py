"""Repairs every text query of an experiment ahead of its run.

It needs no accelerator and no JAX, unless JAX is what reads (`gsr.scorer=jax`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from reex_jax.commands.arguments import Arguments
from reex_jax.commands.compile_cache import use_compile_cache
from reex_jax.datasets.load import load_data
from reex_jax.errors import UserError
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.offline import PassSummary, run_pass
from reex_jax.gsr.repair import FAILED
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.queries.source import run_queries
from reex_jax.queries.texts import text_queries
from reex_jax.settings.choices import OFF, REWRITERS, TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment


def repair(arguments: Arguments) -> None:
    """The command: what the experiment and its options say."""
    options = arguments.options
    repair_queries(arguments.settings, options["runner"], options["beam"])


def repair_queries(
    experiment: Experiment, runner: str = "", options: Sequence[str] = ()
) -> PassSummary:
    """Fills the repair cache of an experiment and prints what happened.

    Args:
        experiment: with a rewriter; with `runlocal`, its small copy is repaired.
        runner: of Apache Beam, for example "DirectRunner" (docs/gsr.md); "": in this process.
        options: of the runner, for example "--direct_num_workers=4".

    Raises:
        UserError: no rewriter is named, it cannot work, or some queries failed.
    """
    if experiment.runlocal:
        experiment = experiment.shrunk()
    settings = experiment.gsr
    if settings.rewriter == OFF:
        raise UserError(
            f"gsr.rewriter is '', so there is nothing to do; choose one: {', '.join(REWRITERS[1:])}"
        )
    if settings.rewriter == "rescore" and settings.scorer == "jax":
        if runner:
            raise UserError(
                "--runner cannot have gsr.scorer=jax: each of a runner's processes would take the "
                "accelerator for itself; leave --runner out, or take another scorer"
            )
        use_compile_cache(experiment.machine.compile_cache)
    rewriter = make_rewriter(settings, load_dictionary(settings.captions))
    experiment = _captions_only(experiment)
    # Images that a run leaves out decide which queries it draws; else they are none of ours.
    drawn = experiment.max_queries > 0 and experiment.data.on_error == "skip"
    data = load_data(experiment.data, decode=drawn)
    texts = text_queries(experiment, data, run_queries(experiment, data))
    print(f"repairing text queries with {rewriter.identity}, into {settings.cache}", flush=True)
    if runner:
        summary = _beam_pass()(settings, texts, runner, options)
    else:
        summary = run_pass(rewriter, Path(settings.cache), texts, progress=experiment.progress)
    print("\n".join(summary.lines(*settings.price_per_million)))
    if summary.reasons[FAILED]:
        raise UserError(
            f"{summary.reasons[FAILED]} queries failed and have no row in the cache; start the "
            "same command again to ask for them once more"
        )
    return summary


def _captions_only(experiment: Experiment) -> Experiment:
    """The same without what concerns images: their direction, and their cache."""
    directions = (TEXT_TO_IMAGE,) if TEXT_TO_IMAGE in experiment.directions else ()
    return replace(
        experiment,
        directions=directions or experiment.directions,
        data=replace(experiment.data, cache=""),
    )


def _beam_pass() -> Callable[..., PassSummary]:
    try:
        from reex_jax.gsr.beam_pass import run_beam_pass
    except ImportError as error:
        raise UserError(
            f"--runner needs Apache Beam ({error}); install it into an environment of its own: "
            "pip install -r requirements-beam.txt"
        ) from error
    return run_beam_pass
