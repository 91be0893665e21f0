"""Flickr-C: the 1,000 images of Flickr30K's Karpathy test split, with corrupted queries.

    python -m reex_jax.main --config=experiments/flickr_c.py --config.data.root=/data/flickr30k

Data: a folder with Flickr30K's images in flickr30k-images/ (they are given to those who fill in the
form at https://shannon.cs.illinois.edu/DenotationGraph/, 4 GB) and Karpathy's
dataset_flickr30k.json (caption_datasets.zip of
https://cs.stanford.edu/people/karpathy/deepimagesent/). docs/datasets.md names other layouts that
are found by themselves. Five captions an image: 1,000 images and 5,000 captions.

Expected: clean recall@1 of OpenAI's ViT-B/16 82.2 (image_to_text) and 62.2 (text_to_image) with
the preprocessing "clip"; 80.2 and 61.5 as the TCR paper reports it (sweep `tcr`).
Time and memory: not measured here.

Sweeps, alone or joined by commas, as in --config=experiments/flickr_c.py:characters,seeds:
`severities` 1 to 5; `seeds` 0 to 2; `characters` at severity 7, their highest; `tcr`, that paper's
preprocessing; `released_images` (severity 5), `released_characters`, `released_words` (7) and
`released_sentences` (1) read the published corruptions from data/flickr30k-IP and
data/flickr30k-TP.
--config.runlocal shrinks everything to 50 images, one corruption a modality and one seed.
"""

from ml_collections import ConfigDict

from reex_jax.adaptation.defaults import default_settings
from reex_jax.benchmark.sweeps import PROTOCOL, apply_sweeps, released

SWEEPS = PROTOCOL | released(images="data/flickr30k-IP", captions="data/flickr30k-TP")


def get_config(sweeps: str = "") -> ConfigDict:
    """Every value of the run; `sweeps` names changes, see SWEEPS."""
    config = ConfigDict(
        {
            "name": "flickr_c",
            "method": ("none",),
            "checkpoint": "openai/clip-vit-base-patch16",
            "revision": "",
            "precision": "auto",
            "data": {
                "name": "karpathy",
                "root": "data/flickr30k",
                "preset": "flickr30k",
                "captions_file": "",
                "images": "",
                "max_images": 0,
                "split": "test",
                # These two belong to scenes.
                "seed": 0,
                "num_images": 1000,
                "released_images": "",
                "released_captions": "",
                "preprocessing": "clip",
                "on_error": "raise",
                "workers": 2,
                "cache": "",
            },
            "directions": ("image_to_text", "text_to_image"),
            "corruptions": {
                "clean": True,
                "image": (
                    "gaussian_noise",
                    "shot_noise",
                    "impulse_noise",
                    "speckle_noise",
                    "defocus_blur",
                    "glass_blur",
                    "motion_blur",
                    "zoom_blur",
                    "snow",
                    "frost",
                    "fog",
                    "brightness",
                    "contrast",
                    "elastic_transform",
                    "pixelate",
                    "jpeg_compression",
                ),
                "text": (
                    "ocr",
                    "keyboard",
                    "insert",
                    "replace",
                    "swap",
                    "delete",
                    "synonym_replacement",
                    "word_insertion",
                    "word_swap",
                    "word_deletion",
                    "punctuation_insertion",
                ),
                # The file in which sentence kinds look up their texts.
                "sentences": "",
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
            "max_queries": 0,
            "batch_size": 64,
            "adapt": {
                "steps": 3,
                "rate_batch": 0,
                "weight_decay": 1e-4,
                "image_parameters": "layer_norms",
                "text_parameters": "block_layer_norms",
                "score": "last_forward",
                "stream": "reset",
                "devices": 1,
            },
            "settings": default_settings(),
            "variants": (),
            "results": "results",
            "run_id": "",
            "progress": True,
            "runlocal": False,
        }
    )
    return apply_sweeps(config, sweeps, SWEEPS)
