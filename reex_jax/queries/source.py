"""Where queries come from: our own corruptions, or the files of published ones."""

from collections.abc import Iterable
from functools import partial

from ml_collections import ConfigDict

from reex_jax.corruptions.text.sentences import SentenceRewrites
from reex_jax.datasets.released import ReleasedCorruptions, open_released
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.cached import CachedQueries
from reex_jax.queries.own import Query, QuerySource, own_query
from reex_jax.queries.sentences import load_sentences, sentence_kinds
from reex_jax.queries.streams import CLEAN, list_streams
from reex_jax.settings.choices import IMAGE_TO_TEXT


def run_queries(config: ConfigDict, data: RetrievalSet) -> QuerySource:
    """The queries of a whole configuration, rewritten captions included; all files are checked now.

    Raises:
        UserError: a file, folder or item is missing or faulty.
    """
    wanted = [(s.direction, s.corruption, s.severity) for s in list_streams(config)]
    sentences = load_sentences(sentence_kinds(config), config.corruptions.sentences, data)
    return query_source(config.data, data, wanted, sentences)


def query_source(
    settings: ConfigDict,
    data: RetrievalSet,
    wanted: Iterable[tuple[str, str, int]],
    sentences: SentenceRewrites | None = None,
) -> QuerySource:
    """The queries of a run; published files are checked now, before any work.

    Args:
        settings: `config.data`, already checked.
        data: the clean set.
        wanted: (direction, corruption, severity) of every stream of the run; clean ones may be
            among them.
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
        data, wanted, preset=settings.preset, images_root=images, captions_root=captions
    )
    return partial(_released_query, own, data, released, bool(images), bool(captions))


def _released_query(
    own: QuerySource,
    data: RetrievalSet,
    released: ReleasedCorruptions,
    images: bool,
    captions: bool,
    direction: str,
    corruption: str,
    severity: int,
    seed: int,
    position: int,
) -> Query:
    """A published query where this modality was released and is not clean; else our own."""
    if corruption != CLEAN and images and direction == IMAGE_TO_TEXT:
        return released.image(corruption, severity, data.image_ids[position])
    if corruption != CLEAN and captions and direction != IMAGE_TO_TEXT:
        return released.caption(corruption, severity, data.caption_ids[position])
    return own(direction, corruption, severity, seed, position)
