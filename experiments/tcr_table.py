r"""TCR's tables: our numbers beside the published baselines, on the published corruptions.

    python -m reex_jax.main --config=experiments/tcr_table.py:images --config.data.root=/data/coco \
        --config.data.released_images=/data/coco-IP

One part of the tables a run: `images` (table 1: BLIP ViT-B/16 fine-tuned on COCO, 16 kinds,
severity 5), `texts` (table 2: characters and words, severity 7), `sentences` (1); the last two read
--config.data.released_captions=/data/coco-TP. `large`, behind one of these, takes BLIP ViT-L/16.
`clip` and `clip_flickr` (table 3): CLIP ViT-B/16, clean queries of COCO and Flickr30K. `seeds`,
behind any: three orders of the queries.

Expected: the line "none, ours" close to "none, published". Nobody has run this yet, so our column
is not measured. docs/reproduce.md tells where the files come from, and how long it takes on what.
"""

from reex_jax.settings.data import KARPATHY, Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.sweeps import apply_sweeps
from reex_jax.settings.tcr_tables import TABLES

SWEEPS = TABLES


def get_config(sweeps: str = "images") -> Experiment:
    """What differs from the default; `sweeps` names the part of the tables."""
    released = {"released_images": "data/coco-IP", "released_captions": "data/coco-TP"}
    experiment = Experiment(
        name="tcr_table",
        method=("none", "tent", "eata", "sar", "read", "deyo", "tcr", "reex"),
        checkpoint="openai/clip-vit-base-patch16",
        data=Data(KARPATHY, "data/coco", "coco", preprocessing="tcr", **released),
        published="tcr_blip_base",
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
