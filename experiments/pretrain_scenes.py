"""Trains the bundled model: a small CLIP on endless generated scenes.

    python -m reex_jax.pretrain --config=experiments/pretrain_scenes.py

Writes checkpoints to workdir and, at the end, a folder in Hugging Face's layout to
workdir/export. Started again, it goes on from the last checkpoint.
"""

from reex_jax.settings.pretraining import Pretraining


def get_config() -> Pretraining:
    """The training as it is by default."""
    return Pretraining()
