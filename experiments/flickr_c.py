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

--config.method="('none','reex')" compares the unadapted model with ReEx, whose defaults are the
same for every model and data: they are not tuned to this one.

Sweeps, alone or joined by commas, as in --config=experiments/flickr_c.py:characters,seeds:
`severities` 1 to 5; `seeds` 0 to 2; `characters` at severity 7, their highest; `tcr`, that paper's
preprocessing; `released_images` (severity 5), `released_characters`, `released_words` (7) and
`released_sentences` (1) read the published corruptions from data/flickr30k-IP and
data/flickr30k-TP.
--config.runlocal shrinks everything to 50 images, one corruption a modality and one seed.
"""

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import KARPATHY, Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.sweeps import PROTOCOL, apply_sweeps, released

SWEEPS = PROTOCOL | released(images="data/flickr30k-IP", captions="data/flickr30k-TP")


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="flickr_c",
        checkpoint="openai/clip-vit-base-patch16",
        data=Data(name=KARPATHY, root="data/flickr30k", preset="flickr30k"),
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=(*CHARACTER_KINDS, *WORD_KINDS)),
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
