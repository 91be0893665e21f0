"""The rewritten captions of a run, checked before any work."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text.sentences import (
    Rewritten,
    SentenceRewrites,
    how_to_make,
    read_rewrites,
)
from reex_jax.datasets import scene_sentences
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scene_sentences import rewrite_scene_caption
from reex_jax.errors import UserError
from reex_jax.settings.choices import RULES, TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment


def sentence_kinds(experiment: Experiment) -> list[str]:
    """The kinds of a run whose texts come from the file `corruptions.sentences`.

    None where captions are no queries, or corrupted ones were published.
    """
    if TEXT_TO_IMAGE not in experiment.directions or experiment.data.released_captions:
        return []
    return [kind for kind in experiment.corruptions.text if kind in SENTENCE_KINDS]


def describe_sentences(kinds: Sequence[str], sentences_file: str) -> dict[str, str] | None:
    """What a result says of the rewrites it used: the "file" by its name, and its "sha256".

    Args:
        kinds: from `sentence_kinds`; without any there is nothing to say.
        sentences_file: where they come from.

    Raises:
        UserError: the file cannot be read.
    """
    if not kinds:
        return None
    path = Path(scene_sentences.__file__ if sentences_file == RULES else sentences_file)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); {how_to_make(kinds)}"
        ) from error
    return {"file": path.name, "sha256": digest}


def load_sentences(
    kinds: Sequence[str], sentences_file: str, data: RetrievalSet
) -> SentenceRewrites | None:
    """What `corrupt_text` looks up for the sentence kinds of a run.

    Args:
        kinds: the run's text corruptions, of any sort.
        sentences_file: a file of `python -m reex_jax rewrite`, RULES, or empty.
        data: the run's data set.

    Returns:
        The rewrites, which have every caption in every sentence kind; None without such a kind.

    Raises:
        UserError: there is no file, or it lacks captions or has others.
    """
    wanted = [kind for kind in kinds if kind in SENTENCE_KINDS]
    if not wanted:
        return None
    if not sentences_file:
        raise UserError(
            f"corruptions.text has {', '.join(wanted)}, but corruptions.sentences names no file of "
            f"rewritten captions; {how_to_make(wanted)}"
        )
    if sentences_file == RULES:
        texts = {
            (kind, name): Rewritten(caption, rewrite_scene_caption(caption, kind))
            for kind in wanted
            for name, caption in zip(data.caption_ids, data.captions, strict=True)
        }
        return SentenceRewrites(RULES, texts)
    rewrites = read_rewrites(Path(sentences_file))
    rewrites.check(wanted, data.caption_ids, data.captions)
    return rewrites
