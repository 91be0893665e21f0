"""Every text query of an experiment, for the pass that repairs them ahead of the run."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from reex_jax.benchmark.streams import corrupted_queries, list_streams
from reex_jax.datasets.retrieval_set import TEXT_TO_IMAGE, RetrievalSet


def text_queries(config: ConfigDict, data: RetrievalSet) -> Iterator[str]:
    """The caption queries of every corruption, severity and seed; some come up more than once."""
    count = data.num_queries(TEXT_TO_IMAGE)
    for stream in list_streams(config):
        if stream.direction == TEXT_TO_IMAGE:
            yield from corrupted_queries(data, stream, range(count))
