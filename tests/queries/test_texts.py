"""The text queries of an experiment: all of them, and exactly what its streams ask."""

from reex_jax.datasets.scenes import load_scenes
from reex_jax.queries.own import own_query
from reex_jax.queries.source import run_queries
from reex_jax.queries.streams import list_streams
from reex_jax.queries.texts import text_queries
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment


def test_every_query_of_every_text_stream():
    corruptions = Corruptions(text=("keyboard", "word_swap"), severities=(1, 5))
    experiment = Experiment(corruptions=corruptions, seeds=(0, 3))
    data = load_scenes(3)
    found = list(text_queries(experiment, data, run_queries(experiment, data)))
    # Clean and two kinds with two severities, for two seeds, of fifteen captions.
    assert len(found) == (1 + 2 * 2) * 2 * 15
    asked = [
        own_query(data, stream, position)
        for stream in list_streams(experiment)
        if stream.direction == "text_to_image"
        for position in range(15)
    ]
    assert sorted(found) == sorted(asked)


def test_no_text_queries_without_their_direction():
    experiment = Experiment(directions=("image_to_text",))
    data = load_scenes(2)
    assert list(text_queries(experiment, data, run_queries(experiment, data))) == []


def test_only_the_chosen_queries():
    experiment = Experiment(max_queries=4)
    data = load_scenes(3)
    assert len(list(text_queries(experiment, data, run_queries(experiment, data)))) == 4
