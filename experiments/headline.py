"""The whole table of the embedded benchmark, by one command.

    python -m reex_jax.main --config=experiments/headline.py

Every method, ranked plainly and calibrated; captions as they are and repaired; 16 kinds of image
corruption and 11 of captions at severity 5, five sentence kinds (by the rules of scenes, at their
one severity); both directions; five seeds. Methods have the rates that won on held-out kinds
(experiments/tune_scenes.py), ReEx its defaults.

Writes results/headline/<run id>/ and goes on there after an interruption. To split it over
processes or hosts, give each its share; the report joins them:

    python -m reex_jax.main --config=experiments/headline.py --shard=1/2
    python -m reex_jax.main --config=experiments/headline.py --shard=2/2
    python -m reex_jax.report results/headline/*-shard-* --out report.html

2,550 passes of 256 queries; --config=experiments/headline.py:long has 1,000 queries in each.
"""

from dataclasses import replace

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.settings.choices import RULES
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.methods import METHODS
from reex_jax.settings.repair import RepairSettings
from reex_jax.settings.scenes import TUNED
from reex_jax.settings.sweeps import apply_sweeps


def long(experiment: Experiment) -> Experiment:
    """1,000 queries a stream: all images, and as many captions."""
    return replace(experiment, max_queries=1000)


SWEEPS = {"long": long}
TEXT = (*CHARACTER_KINDS, *WORD_KINDS, *SENTENCE_KINDS)


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="headline",
        method=("none", *(name for name in METHODS if name != "none")),
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=TEXT, sentences=RULES),
        gsr=RepairSettings(rewriter="channel", compare=True),
        seeds=(0, 1, 2, 3, 4),
        max_queries=256,
        settings=TUNED,
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
