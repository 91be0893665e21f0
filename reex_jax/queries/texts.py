"""Every text query of an experiment, for the pass that repairs them ahead of the run."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.own import QuerySource
from reex_jax.queries.streams import chosen_queries, list_streams
from reex_jax.settings.choices import TEXT_TO_IMAGE


def text_queries(config: ConfigDict, data: RetrievalSet, source: QuerySource) -> Iterator[str]:
    """The caption queries of every corruption, severity and seed; some come up more than once.

    Args:
        config: the experiment.
        data: its set.
        source: makes the queries, from `run_queries`.
    """
    positions = chosen_queries(data.num_queries(TEXT_TO_IMAGE), config.max_queries).tolist()
    for stream in list_streams(config):
        if stream.direction == TEXT_TO_IMAGE:
            for i in positions:
                query = source(stream.direction, stream.corruption, stream.severity, stream.seed, i)
                assert isinstance(query, str)
                yield query
