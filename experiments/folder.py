r"""Your own images and captions, searched with any CLIP, unadapted and with ReEx.

    python -m reex_jax.main --config=experiments/folder.py --config.data.root=/data/mine \
        --config.checkpoint=/models/clip-vit-base-patch16

Data: a folder of images with captions.jsonl (one {"image": "a.jpg", "caption": "..."} a line),
captions.json or captions.csv; an image may have several captions. Every file is checked first;
--config.data.on_error=skip leaves faulty ones out. `checkpoint` is a folder in Hugging Face's
layout or a hub id.

The table compares clean and corrupted queries. ReEx's settings are its defaults, the same for every
model and data; nothing here has to be tuned. For clean queries alone, say if yours are damaged
already: --config.corruptions.image="()" --config.corruptions.text="()".
Expected: depends on the data. Time: that of embedding every image and caption once, and for each
corruption and method a pass over all queries; --config.max_queries=1000 shortens the passes.

Sweeps, alone or joined by commas, as in --config=experiments/folder.py:severities,seeds:
`severities` 1 to 5; `seeds` 0 to 2; `characters` at severity 7, their highest; `tcr`, that paper's
preprocessing. --config.runlocal shrinks everything to 50 images, one corruption a modality.
"""

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import FOLDER, Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.sweeps import PROTOCOL, apply_sweeps

SWEEPS = PROTOCOL


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="folder",
        method=("none", "reex"),
        checkpoint="openai/clip-vit-base-patch16",
        data=Data(name=FOLDER),
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=(*CHARACTER_KINDS, *WORD_KINDS)),
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
