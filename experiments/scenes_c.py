"""Scenes-C: the embedded benchmark under corrupted queries, no download needed.

    python -m reex_jax.main --config=experiments/scenes_c.py

Prints recall@1/5/10, mAP and median rank of clean and corrupted queries in both directions, and
writes results/scenes_c/<run id>/. Sweeps, alone or joined by commas, as in
--config=experiments/scenes_c.py:severities,seeds: `severities` 1 to 5; `seeds` 0 to 2; `characters`
at severity 7, their highest; `tcr`, that paper's preprocessing; `demo`, a few
corruptions; `continual` and `mixed` streams.
"""

from dataclasses import replace
from functools import partial

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.scenes import TUNED
from reex_jax.settings.sweeps import PROTOCOL, apply_sweeps

DEMO_IMAGE = ("gaussian_noise", "motion_blur", "fog", "jpeg_compression")
DEMO_TEXT = ("keyboard", "swap", "synonym_replacement", "word_swap")


def demo(experiment: Experiment) -> Experiment:
    """The unadapted model and ReEx on four corruptions a modality: two minutes."""
    few = replace(experiment.corruptions, image=DEMO_IMAGE, text=DEMO_TEXT)
    return replace(experiment, method=("none", "reex"), corruptions=few, max_queries=1000)


def long_stream(protocol: str, experiment: Experiment) -> Experiment:
    """Corruptions one after the other, or in every batch."""
    return replace(experiment, adapt=replace(experiment.adapt, stream=protocol))


SWEEPS = {**PROTOCOL, "demo": demo} | {
    protocol: partial(long_stream, protocol) for protocol in ("continual", "mixed")
}


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="scenes_c",
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=(*CHARACTER_KINDS, *WORD_KINDS)),
        settings=TUNED,
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
