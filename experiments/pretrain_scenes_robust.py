"""Second stage of the bundled model: lightly rougher images and captions.

    python -m reex_jax.pretrain --config=experiments/pretrain_scenes.py
    python -m reex_jax.pretrain --config=experiments/pretrain_scenes_robust.py

Starts from the export of the first stage. Without it corruptions of severity 5 cost the model
three quarters of its recall, which leaves little to adapt; see docs/results.md.
"""

from reex_jax.settings.pretraining import Augmentation, Optimizer, Pretraining


def get_config() -> Pretraining:
    """What differs from the first stage."""
    return Pretraining(
        workdir="pretraining/robust",
        init="pretraining/export",
        seed=1,
        num_steps=800,
        save_every=100,
        text_length=40,
        augmentation=Augmentation(
            brightness=0.7, contrast=0.7, noise=0.35, split_percent=12, drop_percent=8
        ),
        optimizer=Optimizer(learning_rate=8e-4),
    )
