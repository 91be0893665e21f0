"""What the tests of adaptation share: batches made by hand, the tiny model, a toy encoder."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.objective import Batch
from reex_jax.clip.api import load_clip

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture(scope="session")
def golden():
    """The arrays of tests/data/golden."""
    with np.load(GOLDEN / "golden.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def tiny():
    """The tiny model of tests/data/golden: random weights, width 32, no tokenizer."""
    return load_clip(GOLDEN / "clip_tiny", precision="float32")


@pytest.fixture(scope="session")
def unit_rows():
    """(seed, n, d) -> n random unit vectors [n, d] float32."""

    def rows(seed: int, n: int, d: int) -> np.ndarray:
        drawn = np.random.default_rng(seed).normal(size=(n, d))
        return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)

    return rows


@pytest.fixture(scope="session")
def make_batch():
    """(queries, gallery, **fields) -> a `Batch` as a loss sees it, outside of any step."""

    def make(queries, gallery, *, real=None, step=0, index=0, temperature=0.05, shuffled=None):
        rows = len(queries)
        return Batch(
            queries=jnp.asarray(queries),
            gallery=jnp.asarray(gallery),
            mask=jnp.arange(rows) < (rows if real is None else real),
            temperature=jnp.float32(temperature),
            step=jnp.int32(step),
            index=jnp.int32(index),
            key=jax.random.key(7),
            shuffled=lambda: jnp.asarray(shuffled),
        )

    return make
