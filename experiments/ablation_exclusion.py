"""What ReEx's exclusion sets are worth: their size, their candidates, and who learns from them.

    python -m reex_jax.ablation --config=experiments/ablation_exclusion.py

Every variant is `reex` with one part changed: the size k of the plausible set (what lies outside
it is excluded; "off" makes all other candidates negatives), the candidates (the batch's proxies or
the whole gallery, and which of them are excluded), what confident queries minimise, and the split
(confident queries, ambiguous ones, both, or none: then only TCR's two terms are left). A value that
equals the default below is shown, but not measured twice.

Writes ablation.csv, ablation.md, ablation.png and table.md to
results/ablation_exclusion/<run id>/. Started again after an interruption, it goes on.
Time: 28 minutes on one core beside other work (20 methods, 9 streams of 500 queries each).
--config.runlocal=True takes about a minute: 50 images, one corruption a modality, one seed, and one
variant of each part.
"""

from typing import Any

from ml_collections import ConfigDict

from reex_jax.adaptation.defaults import default_settings

# A batch of 64 has at most 63 candidates to exclude: choosing 50 of them would change little.
CANDIDATES = (("batch", 16), ("gallery", 50))
STRATEGIES = ("next_m", "bottom_m", "random_m")


def candidates(pool: str, strategy: str, label: str, **more: int) -> dict[str, Any]:
    """A variant with other candidates; its label says how many are excluded."""
    changes = {"pool": pool, "strategy": strategy, **more}
    name = f"{pool} {strategy}"
    group, text = "candidates", f"{pool}, {label}"
    return {"name": name, "method": "reex", "group": group, "label": text, "changes": changes}


VARIANTS = (
    *(
        {"name": f"k={k}", "method": "reex", "group": "k", "label": str(k), "changes": {"k": k}}
        for k in (1, 2, 5, 10, 20, 50, 100)
    ),
    {"name": "k=off", "method": "reex", "group": "k", "label": "off", "changes": {"k": 0}},
    *(
        variant
        for pool, m in CANDIDATES
        for variant in (
            candidates(pool, "outside_top_k", "all outside top k"),
            *(candidates(pool, s, f"{s.removesuffix('_m')} {m}", m=m) for s in STRATEGIES),
        )
    ),
    {
        "name": "commit=proxy",
        "method": "reex",
        "group": "commit",
        "label": "proxy",
        "changes": {"commit": "proxy"},
    },
    {
        "name": "commit=entropy",
        "method": "reex",
        "group": "commit",
        "label": "entropy",
        "changes": {"commit": "entropy"},
    },
    *(
        {
            "name": f"split={split}",
            "method": "reex",
            "group": "split",
            "label": label,
            "changes": {"split": split},
        }
        for split, label in (
            ("both", "both"),
            ("confident", "confident only"),
            ("ambiguous", "ambiguous only"),
            ("none", "neither"),
        )
    ),
)


def get_config() -> ConfigDict:
    """Every value of the run."""
    settings = default_settings()
    settings["reex"]["image"]["learning_rate"] = 3e-2  # as in scenes_c.py; captions keep 3e-4
    return ConfigDict(
        {
            "name": "ablation_exclusion",
            "method": ("none", "reex", *(variant["name"] for variant in VARIANTS)),
            "checkpoint": "bundled",
            "revision": "",
            "precision": "auto",
            "data": {
                "name": "scenes",
                # These five belong to data sets of files; see docs/datasets.md.
                "root": "",
                "preset": "",
                "captions_file": "",
                "images": "",
                "max_images": 0,
                "split": "test",
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
                "clean": False,
                "image": ("gaussian_noise", "motion_blur"),
                "text": ("keyboard",),
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
            "seeds": (0, 1, 2),
            # So that the whole stays far below 30 minutes on two cores.
            "max_queries": 500,
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
            "settings": settings,
            "variants": VARIANTS,
            "results": "results",
            "run_id": "",
            "progress": True,
            "runlocal": False,
        }
    )
