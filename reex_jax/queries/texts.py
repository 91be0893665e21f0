"""Every text query of an experiment, for the pass that repairs them ahead of the run."""

from collections.abc import Iterator

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.queries.own import QuerySource
from reex_jax.queries.streams import chosen_queries, list_streams
from reex_jax.settings.choices import TEXT_TO_IMAGE
from reex_jax.settings.experiment import Experiment


def text_queries(experiment: Experiment, data: RetrievalSet, source: QuerySource) -> Iterator[str]:
    """The caption queries of every corruption, severity and seed; some come up more than once.

    Args:
        experiment: says which queries it asks.
        data: its set.
        source: makes the queries, from `run_queries`.
    """
    positions = chosen_queries(data.num_queries(TEXT_TO_IMAGE), experiment.max_queries).tolist()
    for stream in list_streams(experiment):
        if stream.direction == TEXT_TO_IMAGE:
            for position in positions:
                query = source(stream, position)
                assert isinstance(query, str)
                yield query
