"""Repairs every text query of an experiment ahead of its run; needs no accelerator and no JAX.

python -m reex_jax.gsr --config=experiments/scenes_c.py --config.gsr.rewriter=symspell

With `--runner=DirectRunner` or another of Apache Beam's it runs as a pipeline (docs/gsr.md).
"""

from absl import flags
from ml_collections import config_flags

from reex_jax.command_line import run_command
from reex_jax.commands.repair import repair_queries
from reex_jax.config import check_command_line
from reex_jax.settings.experiment import Experiment

_RUNNER = flags.DEFINE_string("runner", "", "one of Apache Beam's; empty: in this process")
_BEAM = flags.DEFINE_multi_string("beam", [], "an option of the runner: --beam=--name=value")
_CONFIG = config_flags.DEFINE_config_file("config", help_string="a file of experiments/")


def main() -> None:
    """Fills the cache of --config and prints what happened."""
    values = _CONFIG.value.to_dict()
    del values["settings"]  # of methods, which a repair never needs
    repair_queries(Experiment.from_dict(values), _RUNNER.value, _BEAM.value)


if __name__ == "__main__":
    run_command(main, check_command_line)
