"""The parts of TCR's tables (Li et al., ICLR 2025) as sweeps of experiments/tcr_table.py.

Tables 1 and 2 have BLIP, COCO-C as it was published and the highest severity of each kind; table 3
has CLIP and no corruption.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK
from reex_jax.corruptions.text.kinds import WORD_KINDS
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.settings.choices import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.presets import COCO, FLICKR30K
from reex_jax.settings.sweeps import Sweep, seeds, tcr_blip

CHARACTERS = ("ocr", "insert", "replace", "swap", "delete")
"""Those of table 2: no keyboard."""


def images(one: Experiment) -> Experiment:
    """Table 1: image queries of COCO-C."""
    part = Corruptions(clean=False, image=IMAGE_BENCHMARK, severities=(5,))
    return replace(tcr_blip(one), directions=(IMAGE_TO_TEXT,), corruptions=part)


def texts(one: Experiment) -> Experiment:
    """Table 2: caption queries of COCO-C, characters and words."""
    return _captions(one, (*CHARACTERS, *WORD_KINDS), 7)


def sentences(one: Experiment) -> Experiment:
    """Table 2: caption queries of COCO-C, other styles."""
    return _captions(one, SENTENCE_KINDS, 1)


def _captions(one: Experiment, kinds: tuple[str, ...], severity: int) -> Experiment:
    part = Corruptions(clean=False, text=kinds, severities=(severity,))
    return replace(tcr_blip(one), directions=(TEXT_TO_IMAGE,), corruptions=part)


def large(one: Experiment) -> Experiment:
    """The larger backbone of tables 1 and 2, behind one of their parts."""
    return replace(one, checkpoint="Salesforce/blip-itm-large-coco", published="tcr_blip_large")


def clip(one: Experiment) -> Experiment:
    """Table 3: clean queries of COCO, CLIP as it is."""
    return _clean(one, COCO)


def clip_flickr(one: Experiment) -> Experiment:
    """Table 3: clean queries of Flickr30K, CLIP as it is."""
    return _clean(one, FLICKR30K)


def _clean(one: Experiment, preset: str) -> Experiment:
    clean = replace(one.data, preset=preset, released_images="", released_captions="")
    return replace(one, data=clean, corruptions=Corruptions(), published="tcr_clip")


TABLES: Mapping[str, Sweep] = MappingProxyType(
    {
        "images": images,
        "texts": texts,
        "sentences": sentences,
        "large": large,
        "clip": clip,
        "clip_flickr": clip_flickr,
        "seeds": seeds,
    }
)
"""Every part by name, and what may stand behind one."""
