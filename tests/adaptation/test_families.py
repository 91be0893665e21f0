"""All methods, fusion and what adapts, with a tiny model of each family."""

import functools
from pathlib import Path

import numpy as np
import pytest

from reex_jax import Adapter, RepairedQueries, load_model
from reex_jax.gsr.features import FusionFeatures
from reex_jax.settings.methods import METHODS

FAMILIES = Path(__file__).parents[1] / "data" / "families"
NAMES = ("open_clip", "siglip", "blip")
CAPTIONS = ["a cat", "two red dogs on the beach", "an apple", "the bird and the photo"]


@functools.cache
def loaded(name):
    """A tiny model; tests leave it as it is."""
    return load_model(FAMILIES / name, precision="float32", batch_size=4)


@functools.cache
def pixels(name):
    with np.load(FAMILIES / name / "reference.npz") as file:
        return file["pixels"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_every_method_learns(name, method):
    """Image queries for one half of the methods, text queries for the other."""
    model = loaded(name)
    query = ("image", "text")[list(METHODS).index(method) % 2]
    images, texts = model.encode_pixels(pixels(name)), model.encode_texts(CAPTIONS)
    gallery, queries = (texts, pixels(name)) if query == "image" else (images, CAPTIONS)
    settings = {} if method == "none" else {"learning_rate": 1e-2}
    adapter = Adapter(
        model, gallery, query=query, method=method, batch_size=4, steps=1, score="after", **settings
    )
    found = np.asarray(adapter.embed(queries))
    np.testing.assert_allclose(found, images if query == "image" else texts, atol=1e-5)
    result = adapter.search(queries, k=4)
    assert sorted(result.indices[0].tolist()) == [0, 1, 2, 3]
    moved = np.abs(np.asarray(adapter.embed(queries)) - found).max()
    # Those with filters may trust none of four random queries.
    assert (moved == 0) if method == "none" else (moved < 1)
    if method in ("tent", "tcr", "shot", "read", "reex"):
        assert moved > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_fusion(name):
    model = loaded(name)
    adapter = Adapter(
        model,
        model.encode_pixels(pixels(name)),
        query="text",
        method="none",
        fusion="replace",
        batch_size=4,
    )
    damaged = ["a cqt", "two rde dogs on the beech", "an aple", "teh bird and the poto"]
    queries = RepairedQueries(damaged, CAPTIONS, FusionFeatures(*np.ones((4, 4), np.float32)))
    np.testing.assert_allclose(
        np.asarray(adapter.embed(queries)), model.encode_texts(CAPTIONS), atol=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_adapts(name):
    """`block_layer_norms` leaves out what stands outside the blocks, of both towers."""
    outside = {
        "open_clip": {"image": {"pre_norm", "post_norm"}, "text": {"final_norm"}},
        "siglip": {"image": {"post_norm", "pooling"}, "text": {"final_norm"}},
        "blip": {"image": {"post_norm"}, "text": {"embedding_norm"}},
    }[name]
    for query, names in outside.items():
        adapters = [
            Adapter(
                loaded(name),
                np.eye(loaded(name).dim, dtype=np.float32),
                query=query,
                method="tent",
                parameters=parameters,
            )
            for parameters in ("layer_norms", "block_layer_norms")
        ]
        every, inside = (set(adapter.state.parameters) for adapter in adapters)
        assert (every - inside, inside) == (names, {"blocks"})
