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
the backbone and settings of the TCR paper's tables (not run here: we have no published number of
ours to compare, and its tables use the released corruptions at their highest severity).
--config.runlocal shrinks everything to 50 images, one corruption a modality and one seed.
"""

from dataclasses import replace

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import KARPATHY, Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.methods import LEARNING_RATE, METHODS
from reex_jax.settings.sweeps import PROTOCOL, apply_sweeps, released, tcr

TEXT_RATE = 3e-5


def blip(experiment: Experiment) -> Experiment:
    """The backbone and the settings behind TCR's published tables of COCO-C.

    As its authors' code has them: BLIP (ViT-B/16, 384 pixels) fine-tuned on COCO, contrastive
    embeddings; captions of at most 30 words and 35 tokens; AdamW, weight decay 1e-4, 3 steps on
    batches of 64; rates 3e-4 for image queries and 3e-5 for text queries; all LayerNorms of either
    encoder; temperatures 0.02 (TCR) and 0.01 (the others).
    """
    settings = experiment.settings
    for name in METHODS:
        of_method = getattr(settings, name)
        # ReEx keeps the rate of its own that is its default for captions.
        if getattr(of_method.text, "learning_rate", None) == LEARNING_RATE:
            slower = replace(of_method, text=replace(of_method.text, learning_rate=TEXT_RATE))
            settings = replace(settings, **{name: slower})
    return replace(
        tcr(experiment),
        name="coco_c_blip",
        checkpoint="Salesforce/blip-itm-base-coco",
        adapt=replace(experiment.adapt, text_parameters="layer_norms"),
        settings=settings,
    )


SWEEPS = PROTOCOL | released(images="data/coco-IP", captions="data/coco-TP") | {"blip": blip}


def get_config(sweeps: str = "") -> Experiment:
    """What differs from the default; `sweeps` names more of it, see SWEEPS."""
    experiment = Experiment(
        name="coco_c",
        checkpoint="openai/clip-vit-base-patch16",
        data=Data(name=KARPATHY, root="data/coco", preset="coco"),
        corruptions=Corruptions(image=IMAGE_BENCHMARK, text=(*CHARACTER_KINDS, *WORD_KINDS)),
    )
    return apply_sweeps(experiment, sweeps, SWEEPS)
