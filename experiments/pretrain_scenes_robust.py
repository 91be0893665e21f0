"""Second stage of the bundled model: lightly rougher images and captions.

    python -m reex_jax.pretrain --config=experiments/pretrain_scenes.py
    python -m reex_jax.pretrain --config=experiments/pretrain_scenes_robust.py

Starts from the export of the first stage. Without it corruptions of severity 5 cost the model
three quarters of its recall, which leaves little to adapt; see docs/results.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Every value of the run."""
    return ConfigDict(
        {
            "workdir": "pretraining/robust",
            "seed": 1,
            "batch_size": 128,
            "num_steps": 800,
            "report_every": 50,
            "save_every": 100,
            "init": "pretraining/export",
            "augmentation": {
                "brightness": 0.7,
                "contrast": 0.7,
                "noise": 0.35,
                "split_percent": 12,
                "drop_percent": 8,
            },
            "text_length": 40,
            "precision": "auto",
            "optimizer": {
                "learning_rate": 8e-4,
                "warmup_steps": 100,
                "weight_decay": 0.01,
            },
            "vocabulary": {
                "num_merges": 2000,
                "num_scenes": 4000,
                "num_words": 20000,
            },
            "pixels": {
                "mean": (0.5, 0.5, 0.5),
                "std": (0.25, 0.25, 0.25),
            },
            "model": {
                "projection_dim": 128,
                "vision": {
                    "hidden_size": 128,
                    "num_hidden_layers": 3,
                    "num_attention_heads": 4,
                    "image_size": 48,
                    "patch_size": 8,
                },
                "text": {
                    "hidden_size": 128,
                    "num_hidden_layers": 3,
                    "num_attention_heads": 4,
                    "max_position_embeddings": 77,
                },
            },
        }
    )
