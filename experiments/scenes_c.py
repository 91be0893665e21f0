"""Scenes-C: the embedded benchmark under corrupted queries, no download needed.

    python -m reex_jax.main --config=experiments/scenes_c.py

Prints recall@1/5/10, mAP and median rank of clean and corrupted queries in both directions, and
writes results/scenes_c/<run id>/.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Every value of the run."""
    return ConfigDict(
        {
            "name": "scenes_c",
            "method": "none",
            "checkpoint": "bundled",
            "revision": "",
            "precision": "auto",
            "data": {
                "name": "scenes",
                "root": "",
                "captions_file": "",
                # split, seed and num_images choose scenes; a folder is used whole.
                "split": "test",
                "seed": 0,
                "num_images": 1000,
                "preprocessing": "clip",
                "on_error": "raise",
            },
            "directions": ("image_to_text", "text_to_image"),
            "corruptions": {
                "clean": True,
                "image": (
                    "gaussian_noise",
                    "shot_noise",
                    "defocus_blur",
                    "brightness",
                    "contrast",
                    "pixelate",
                    "jpeg_compression",
                ),
                "text": (
                    "keyboard",
                    "insert",
                    "replace",
                    "swap",
                    "delete",
                    "word_swap",
                    "word_deletion",
                    "punctuation_insertion",
                ),
                "severities": (5,),
            },
            # Repair of text queries: rewriter "" is off, "symspell" needs no model and no network.
            "gsr": {
                "rewriter": "",
                "fusion": "dynamic",
                "cache": "gsr_cache",
                "captions": "",
                # model to batch_size: rewriters openai and transformers.
                "model": "",
                "revision": "",
                "temperature": 0.0,
                "samples": 1,
                "max_tokens": 128,
                "batch_size": 16,
                # base_url to price_per_million (of prompt and reply tokens): rewriter openai.
                "base_url": "http://localhost:8000/v1",
                "concurrency": 8,
                "timeout_s": 60.0,
                "attempts": 6,
                "price_per_million": (0.0, 0.0),
                # The fusion rule, see docs/gsr.md.
                "w_fixed": 0.5,
                "w_max": 0.9,
                "oov_scale": 0.1,
                "lost_rate": 20.0,
                "edit_rate": 20.0,
                "edit_per_oov": 0.4,
                "entropy_rate": 3.0,
                "generation_power": 0.5,
            },
            "seeds": (0,),
            "batch_size": 64,
            "results": "results",
            "run_id": "",
            "progress": True,
            "runlocal": False,
        }
    )
