"""Trains the bundled model: a small CLIP on endless generated scenes.

    python -m reex_jax.pretrain --config=experiments/pretrain_scenes.py

Writes checkpoints to workdir and, at the end, a folder in Hugging Face's layout to
workdir/export. Started again, it goes on from the last checkpoint.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Every value of the run."""
    return ConfigDict(
        {
            "workdir": "pretraining",
            "seed": 0,
            "batch_size": 128,
            "num_steps": 4000,
            "report_every": 50,
            "save_every": 300,
            "init": "",
            "augmentation": {
                "brightness": 0.1,
                "contrast": 0.1,
                "noise": 0.0,
                "split_percent": 0,
                "drop_percent": 0,
            },
            "text_length": 32,
            "precision": "auto",
            "optimizer": {
                "learning_rate": 2e-3,
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
