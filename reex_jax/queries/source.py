"""Where queries come from: our own corruptions, or the files of published ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from reex_jax.corruptions.text.sentences import SentenceRewrites
from reex_jax.datasets.released import ReleasedCorruptions, open_released
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.cached import CachedQueries
from reex_jax.queries.own import Query, QuerySource, own_query
from reex_jax.queries.sentences import load_sentences, sentence_kinds
from reex_jax.queries.streams import Stream, list_streams
from reex_jax.settings.choices import CLEAN, IMAGE_TO_TEXT
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment


def run_queries(experiment: Experiment, data: RetrievalSet) -> QuerySource:
    """The queries of a whole experiment, rewritten captions included; all files are checked now.

    Raises:
        UserError: a file, folder or item is missing or faulty.
    """
    sentences = load_sentences(sentence_kinds(experiment), experiment.corruptions.sentences, data)
    return query_source(experiment.data, data, list_streams(experiment), sentences)


def query_source(
    settings: Data,
    data: RetrievalSet,
    streams: Iterable[Stream],
    sentences: SentenceRewrites | None = None,
) -> QuerySource:
    """The queries of some streams; published files are checked now, before any work.

    Args:
        settings: where published queries lie, and whether corrupted images are kept.
        data: the clean set.
        streams: all that may be asked of.
        sentences: where sentence kinds look up their texts, unless these were published.

    Raises:
        UserError: a published folder, file or item is missing.
    """
    own: QuerySource = partial(own_query, data, sentences=sentences)
    if settings.cache:
        own = CachedQueries(data, settings.cache, settings.workers, sentences)
    images, captions = settings.released_images, settings.released_captions
    if not images and not captions:
        return own
    released = open_released(
        data,
        [(one.direction, one.corruption, one.severity) for one in streams],
        preset=settings.preset,
        images_root=images,
        captions_root=captions,
    )
    return _ReleasedQueries(own, data, released, bool(images), bool(captions))


@dataclass(frozen=True, eq=False)
class _ReleasedQueries:
    """A published query where its modality was released and it is not clean; else our own."""

    own: QuerySource
    data: RetrievalSet
    released: ReleasedCorruptions
    images: bool
    captions: bool

    def __call__(self, stream: Stream, position: int) -> Query:
        corruption, severity = stream.corruption, stream.severity
        image = stream.direction == IMAGE_TO_TEXT
        if corruption == CLEAN or not (self.images if image else self.captions):
            return self.own(stream, position)
        if image:
            return self.released.image(corruption, severity, self.data.image_ids[position])
        return self.released.caption(corruption, severity, self.data.caption_ids[position])
