"""Named sweeps of an experiment: `--config=experiments/coco_c.py:characters,seeds`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from reex_jax.corruptions.text.kinds import CHARACTER_KINDS, WORD_KINDS
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.errors import unknown
from reex_jax.settings.choices import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.methods import LEARNING_RATE, METHODS

BLIP_TEXT_RATE = 3e-5
"""TCR's authors' for the text queries of BLIP."""

Sweep = Callable[[Experiment], Experiment]
"""A copy of an experiment with some values changed; several apply one after the other."""


def apply_sweeps(experiment: Experiment, names: str, sweeps: Mapping[str, Sweep]) -> Experiment:
    """The experiment with the named sweeps applied in the order given.

    Args:
        experiment: what they change.
        names: separated by commas; "" for none.
        sweeps: every sweep of the experiment.

    Raises:
        UserError: a name that does not exist.
    """
    for name in filter(None, names.split(",")):
        if name not in sweeps:
            raise unknown("sweep", name, sweeps)
        experiment = sweeps[name](experiment)
    return experiment


def severities(experiment: Experiment) -> Experiment:
    """All severities that both images and words have."""
    return _with_corruptions(experiment, severities=(1, 2, 3, 4, 5))


def seeds(experiment: Experiment) -> Experiment:
    """Three orders of the queries, and three draws of our own corruptions."""
    return replace(experiment, seeds=(0, 1, 2))


def tcr(experiment: Experiment) -> Experiment:
    """Pictures squashed to a square, captions cleaned and cut, as TCR does it."""
    return replace(experiment, data=replace(experiment.data, preprocessing="tcr"))


def tcr_blip(experiment: Experiment) -> Experiment:
    """The backbone and the settings behind TCR's published tables of COCO-C.

    As its authors' code has them: BLIP (ViT-B/16, 384 pixels) fine-tuned on COCO, contrastive
    embeddings; captions of at most 30 words and 35 tokens; AdamW, weight decay 1e-4, 3 steps on
    batches of 64; rates 3e-4 for image queries and 3e-5 for text queries; all LayerNorms of either
    encoder; temperatures 0.02 (TCR) and 0.01 (the others). ReEx keeps the rates of its own.
    """
    settings = experiment.settings
    for name in METHODS:
        of_method = getattr(settings, name)
        if getattr(of_method.text, "learning_rate", None) == LEARNING_RATE:
            slower = replace(of_method.text, learning_rate=BLIP_TEXT_RATE)
            settings = replace(settings, **{name: replace(of_method, text=slower)})
    return replace(
        tcr(experiment),
        name=f"{experiment.name}_blip",
        checkpoint="Salesforce/blip-itm-base-coco",
        adapt=replace(experiment.adapt, text_parameters="layer_norms"),
        settings=settings,
    )


def characters(experiment: Experiment) -> Experiment:
    """Typing and reading errors at their highest severity."""
    return _texts_only(experiment, CHARACTER_KINDS, 7)


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

    def released_images(experiment: Experiment) -> Experiment:
        data = replace(experiment.data, released_images=images)
        changed = replace(experiment, directions=(IMAGE_TO_TEXT,), data=data)
        return _with_corruptions(changed, severities=(5,))

    def texts(kinds: tuple[str, ...], severity: int) -> Sweep:
        def sweep(experiment: Experiment) -> Experiment:
            # First the files, because they have severities that our own corruptions lack.
            data = replace(experiment.data, released_captions=captions)
            return _texts_only(replace(experiment, data=data), kinds, severity)

        return sweep

    return {
        "released_images": released_images,
        "released_characters": texts(CHARACTER_KINDS, 7),
        "released_words": texts(WORD_KINDS, 7),
        "released_sentences": texts(SENTENCE_KINDS, 1),
    }


def _with_corruptions(experiment: Experiment, severities: tuple[int, ...]) -> Experiment:
    corruptions = replace(experiment.corruptions, severities=severities)
    return replace(experiment, corruptions=corruptions)


def _texts_only(experiment: Experiment, kinds: tuple[str, ...], severity: int) -> Experiment:
    corruptions = replace(experiment.corruptions, image=(), text=kinds, severities=(severity,))
    return replace(experiment, directions=(TEXT_TO_IMAGE,), corruptions=corruptions)
