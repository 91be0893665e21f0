"""Streams side by side learn and rank as they do one by one."""

import jax
import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.adaptation.side_by_side import Batches, SideBySide, streams_at_once

B, SEEDS = 8, (0, 1, 2)
COUNTS = ((8, 8, 3), (8, 6, 0), (8, 8, 8))
"""Real queries of every stream's batches."""


@pytest.fixture(scope="module")
def drawn(golden):
    """[streams, batches, B, ...] pixels and answers; every stream has queries of its own."""
    images = golden["images"].transpose(0, 2, 3, 1)
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(images), (3, 3, B))
    noise = random.normal(size=(3, 3, B, *images.shape[1:])).astype(np.float32)
    return images[chosen] + noise, random.integers(-1, 96, (3, 3, B, 2)).astype(np.int32)


def make(tiny, golden, method, **changes):
    settings = {"batch_size": B, "learning_rate": 3e-3} | changes
    if method == "none":
        del settings["learning_rate"]
    return Adapter(tiny, golden["text_embeds"], query="image", method=method, **settings)


def one_by_one(adapter, pixels, answers):
    """Of every stream its ranks by batch, losses and last state."""
    found = []
    for stream, seed in enumerate(SEEDS):
        adapter.reset(seed)
        steps = []
        for batch, count in enumerate(COUNTS[stream]):
            if count:
                rows = (stream, batch, slice(count))
                steps.append(adapter.ranks(pixels[rows], answers[rows]))
        found.append((steps, jax.device_get(adapter.state)))
    return found


def batches_of(pixels, answers, batch, streams=(0, 1, 2)):
    own = list(streams)
    counts = np.array([COUNTS[stream][batch] for stream in own])
    mask = np.arange(B)[None] < counts[:, None]
    return Batches(pixels[own, batch], mask, counts > 0, answers[own, batch])


@pytest.mark.parametrize(
    "method, devices",
    [
        ("reex", 1),
        ("tcr", 1),
        ("tent", 1),
        ("none", 1),
        ("none", 2),
        pytest.param("reex", 2, marks=pytest.mark.slow),
        pytest.param("deyo", 1, marks=pytest.mark.slow),
    ],
)
def test_side_by_side_equals_one_by_one(tiny, golden, drawn, method, devices, compilations):
    adapter = make(tiny, golden, method)
    expected = one_by_one(adapter, *drawn)
    together = SideBySide(adapter, -(-3 // devices), jax.devices()[:devices])
    assert together.count == (3 if devices == 1 else 4)
    for _ in range(2):  # the second time nothing is left of the first
        together.start(SEEDS)
        seen = [0, 0, 0]
        for batch in range(3):
            found = together.ranks(batches_of(*drawn, batch)).fetch()
            for stream in range(3):
                count = COUNTS[stream][batch]
                if count:
                    ranks, diagnostics = expected[stream][0][seen[stream]]
                    seen[stream] += 1
                    for name, own in ranks.items():
                        np.testing.assert_array_equal(found[stream][0][name][:count], own)
                    for name, value in diagnostics.items():
                        assert found[stream][1][name] == pytest.approx(value, rel=1e-5, abs=1e-5)
        states = jax.device_get(together.states)
        for stream, (_, wanted) in enumerate(expected):
            own = jax.tree.map(lambda x, at=stream: x.reshape(-1, *x.shape[2:])[at], states)
            for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(wanted), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        with compilations() as found:
            together.ranks(batches_of(*drawn, 0)).fetch()
        assert not found, "all streams and rounds are one program"


def test_the_weights_and_the_gallery_are_not_copied(tiny, golden):
    adapter = make(tiny, golden, "tent")
    together = SideBySide(adapter, 2, jax.devices()[:1])
    shared = together._constants.gallery.addressable_shards[0].data
    own = adapter.parts.replicated.gallery.addressable_shards[0].data
    assert shared.unsafe_buffer_pointer() == own.unsafe_buffer_pointer()


@pytest.mark.parametrize(
    "wanted, devices, room, each", [(17, 1, 6, 6), (17, 2, 6, 5), (3, 2, 9, 2)]
)
def test_streams_fill_the_memory_in_equal_rounds(
    tiny, golden, drawn, wanted, devices, room, each, monkeypatch
):
    module = "reex_jax.adaptation.side_by_side"
    adapter = make(tiny, golden, "none")
    one = batches_of(*drawn, 0, streams=(0,))
    monkeypatch.setattr(f"{module}._free_bytes", lambda devices: 1.0)
    assert streams_at_once(adapter, one, 17, jax.devices()[:1]) == 1, "at least one"
    needed = needed_bytes(adapter, one)
    monkeypatch.setattr(f"{module}._free_bytes", lambda devices: (room + 0.5) * needed / 0.8)
    assert streams_at_once(adapter, one, wanted, jax.devices()[:devices]) == each


def needed_bytes(adapter, batches):
    """What XLA says one stream needs."""
    trial = SideBySide(adapter, 1, jax.devices()[:1])
    trial.start([0])
    arguments = (trial._constants, trial.states, trial._split(batches))
    found = trial._step.lower(*arguments).compile().memory_analysis()
    return found.temp_size_in_bytes + found.output_size_in_bytes
