"""COCO-C: the 5,000 images of COCO's Karpathy test split, with corrupted queries.

    python -m reex_jax.main --config=experiments/coco_c.py --config.data.root=/data/coco

Data: a folder with COCO's 2014 validation images in val2014/ (https://cocodataset.org/#download,
6 GB) and Karpathy's dataset_coco.json (caption_datasets.zip of
https://cs.stanford.edu/people/karpathy/deepimagesent/). docs/datasets.md names other layouts that
are found by themselves. Five captions an image: 5,000 images and 25,000 captions.

Expected: clean recall@1 of OpenAI's ViT-B/16 52.4 (image_to_text) and 33.1 (text_to_image) with
the preprocessing "clip"; 52.5 and 33.0 as the TCR paper reports it (sweep `tcr`).
Time and memory: not measured here.

--config.method="('none','reex')" compares the unadapted model with ReEx, whose defaults are the
same for every model and data: they are not tuned to this one.

Sweeps, alone or joined by commas, as in --config=experiments/coco_c.py:characters,seeds:
`severities` 1 to 5; `seeds` 0 to 2; `characters` at severity 7, their highest; `tcr`, that paper's
preprocessing; `released_images` (severity 5), `released_characters`, `released_words` (7) and
`released_sentences` (1) read the published corruptions from data/coco-IP and data/coco-TP; `blip`,
the backbone and settings of the TCR paper's tables, which experiments/tcr_table.py compares.
--config.runlocal shrinks everything to 50 images, one corruption a modality and one seed.
"""

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import KARPATHY, Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.sweeps import PROTOCOL, apply_sweeps, released, tcr_blip

SWEEPS = PROTOCOL | released(images="data/coco-IP", captions="data/coco-TP") | {"blip": tcr_blip}


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="coco_c",
        checkpoint="openai/clip-vit-base-patch16",
        data=Data(name=KARPATHY, root="data/coco", preset="coco"),
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=(*CHARACTER_KINDS, *WORD_KINDS)),
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
