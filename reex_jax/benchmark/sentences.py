"""The rewritten captions of a run, checked before any work."""

from collections.abc import Sequence
from pathlib import Path

from reex_jax.corruptions.sentence_prompts import SENTENCE_KINDS
from reex_jax.corruptions.text_sentences import SentenceRewrites, how_to_make, read_rewrites
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError


def load_sentences(
    kinds: Sequence[str], sentences_file: str, data: RetrievalSet
) -> SentenceRewrites | None:
    """What `corrupt_text` looks up for the sentence kinds of a run.

    Args:
        kinds: the run's text corruptions, of any sort.
        sentences_file: a file of `python -m reex_jax.corruptions.sentences`, or empty.
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
    rewrites = read_rewrites(Path(sentences_file))
    rewrites.check(wanted, data.caption_ids, data.captions)
    return rewrites
