"""Repairs every text query of an experiment ahead of its run; needs no accelerator and no JAX.

python -m reex_jax.gsr --config=experiments/scenes_c.py --config.gsr.rewriter=symspell

With `--runner=DirectRunner` or another of Apache Beam's it runs as a pipeline (docs/gsr.md).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from reex_jax.command_line import run_command
from reex_jax.config import check_command_line, check_config, shrink
from reex_jax.datasets.load import load_data
from reex_jax.errors import UserError
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.offline import PassSummary, run_pass
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.gsr.settings import OFF, REWRITERS
from reex_jax.queries.source import run_queries
from reex_jax.queries.texts import text_queries

_RUNNER = flags.DEFINE_string("runner", "", "one of Apache Beam's; empty: in this process")
_BEAM = flags.DEFINE_multi_string("beam", [], "an option of the runner: --beam=--name=value")
_CONFIG = config_flags.DEFINE_config_file("config", help_string="a file of experiments/")


def main() -> None:
    """Fills the cache of --config and prints what happened."""
    config = _CONFIG.value
    check_config(config)
    refine(shrink(config) if config.runlocal else config, _RUNNER.value, _BEAM.value)


def refine(config: ConfigDict, runner: str = "", options: Sequence[str] = ()) -> None:
    """Runs the pass of a checked configuration, here or with a runner of Beam and its options.

    Raises:
        UserError: no rewriter is named, it cannot work, or some queries failed.
    """
    gsr = config.gsr
    if gsr.rewriter == OFF:
        raise UserError(
            f"gsr.rewriter is '', so there is nothing to do; choose one: {', '.join(REWRITERS[1:])}"
        )
    rewriter = make_rewriter(gsr, load_dictionary(gsr.captions))
    data = load_data(config.data)
    texts = text_queries(config, data, run_queries(config, data))
    print(f"repairing text queries with {rewriter.identity}, into {gsr.cache}", flush=True)
    if runner:
        summary = _beam_pass()(gsr, texts, runner, options)
    else:
        summary = run_pass(rewriter, Path(gsr.cache), texts, progress=config.progress)
    print("\n".join(summary.lines(tuple(gsr.price_per_million))))
    if summary.reasons["failed"]:
        raise UserError(
            f"{summary.reasons['failed']} queries failed and have no row in the cache; start the "
            "same command again to ask for them once more"
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


if __name__ == "__main__":
    run_command(main, check_command_line)
