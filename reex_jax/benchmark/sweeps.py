"""Named sweeps of an experiment: `--config=experiments/coco_c.py:characters,seeds`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ml_collections import ConfigDict

from reex_jax.errors import unknown

Sweep = Callable[[ConfigDict], None]
"""Sets values of a configuration; several apply one after the other."""

CHARACTERS = ("ocr", "keyboard", "insert", "replace", "swap", "delete")
WORDS = (
    "synonym_replacement",
    "word_insertion",
    "word_swap",
    "word_deletion",
    "punctuation_insertion",
)
SENTENCES = ("formal", "casual", "passive", "active", "back_translation")


def apply_sweeps(config: ConfigDict, names: str, sweeps: Mapping[str, Sweep]) -> ConfigDict:
    """Applies the named sweeps to `config`, in the order given, and returns it.

    Args:
        config: changed in place.
        names: separated by commas; "" for none.
        sweeps: every sweep of the experiment.

    Raises:
        UserError: a name that does not exist.
    """
    for name in filter(None, names.split(",")):
        if name not in sweeps:
            raise unknown("sweep", name, sweeps)
        sweeps[name](config)
    return config


def severities(config: ConfigDict) -> None:
    """All severities that both images and words have."""
    config.corruptions.severities = (1, 2, 3, 4, 5)


def seeds(config: ConfigDict) -> None:
    """Three orders of the queries, and three draws of our own corruptions."""
    config.seeds = (0, 1, 2)


def tcr(config: ConfigDict) -> None:
    """Pictures squashed to a square, captions cleaned and cut, as TCR does it."""
    config.data.preprocessing = "tcr"


def characters(config: ConfigDict) -> None:
    """Typing and reading errors at their highest severity."""
    _texts_only(config, CHARACTERS, 7)


PROTOCOL: Mapping[str, Sweep] = MappingProxyType(
    {"severities": severities, "seeds": seeds, "tcr": tcr, "characters": characters}
)
"""What can be varied on any data."""


def released(images: str, captions: str) -> Mapping[str, Sweep]:
    """Sweeps that take published corruptions instead of our own, at the severities they have.

    Args:
        images: the folder of COCO_IP_fog_5/ and so on.
        captions: the folder of annotation_OcrAug/ and so on.
    """

    def released_images(config: ConfigDict) -> None:
        config.directions = ("image_to_text",)
        config.corruptions.severities = (5,)
        config.data.released_images = images

    def texts(kinds: tuple[str, ...], severity: int) -> Sweep:
        def sweep(config: ConfigDict) -> None:
            _texts_only(config, kinds, severity)
            config.data.released_captions = captions

        return sweep

    return {
        "released_images": released_images,
        "released_characters": texts(CHARACTERS, 7),
        "released_words": texts(WORDS, 7),
        "released_sentences": texts(SENTENCES, 1),
    }


def _texts_only(config: ConfigDict, kinds: tuple[str, ...], severity: int) -> None:
    config.directions = ("text_to_image",)
    config.corruptions.image = ()
    config.corruptions.text = kinds
    config.corruptions.severities = (severity,)
