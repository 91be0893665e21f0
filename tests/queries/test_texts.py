"""The text queries of an experiment: all of them, and exactly what its streams ask."""

from reex_jax.config import default_config
from reex_jax.datasets.scenes import load_scenes
from reex_jax.queries.own import own_query
from reex_jax.queries.source import run_queries
from reex_jax.queries.streams import list_streams
from reex_jax.queries.texts import text_queries


def test_every_query_of_every_text_stream():
    config = default_config()
    config.corruptions.text = ("keyboard", "word_swap")
    config.corruptions.severities = (1, 5)
    config.seeds = (0, 3)
    data = load_scenes(3)
    found = list(text_queries(config, data, run_queries(config, data)))
    # Clean and two kinds with two severities, for two seeds, of fifteen captions.
    assert len(found) == (1 + 2 * 2) * 2 * 15
    asked = [
        own_query(data, s.direction, s.corruption, s.severity, s.seed, position)
        for s in list_streams(config)
        if s.direction == "text_to_image"
        for position in range(15)
    ]
    assert sorted(found) == sorted(asked)


def test_no_text_queries_without_their_direction():
    config = default_config()
    config.directions = ("image_to_text",)
    data = load_scenes(2)
    assert list(text_queries(config, data, run_queries(config, data))) == []


def test_only_the_chosen_queries():
    config = default_config()
    config.max_queries = 4
    data = load_scenes(3)
    assert len(list(text_queries(config, data, run_queries(config, data)))) == 4
