"""What the tests of indexes share: small indexes made without a model."""

import numpy as np
import pytest

from reex_jax.index.identity import ModelIdentity
from reex_jax.index.manifest import Manifest
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter
from reex_jax.models.load import load_model

MODEL = ModelIdentity("toy", "a" * 64, "b" * 64, "clip", 8)


@pytest.fixture(scope="session")
def toy_model():
    """The identity of a model that does not exist."""
    return MODEL


@pytest.fixture(scope="session")
def unit_rows():
    """(seed, n, d) -> n random unit vectors [n, d] float32."""

    def draw(seed, n, d=8):
        rows = np.random.default_rng(seed).normal(size=(n, d))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def make_rows(unit_rows):
    """(seed, n) -> rows whose values differ in length, some of them empty."""

    def make(seed, n):
        return [
            Row(
                f"item-{seed}-{i}",
                vector,
                "" if i % 3 == 0 else f"caption {i} größe",
                f"/pictures/{i}.jpg",
                f"{i}",
                b"" if i % 4 == 0 else bytes(range(i % 7)),
            )
            for i, vector in enumerate(unit_rows(seed, n))
        ]

    return make


@pytest.fixture
def toy(tmp_path):
    """(rows, dtype) -> the folder of an index that holds them."""

    def make(rows, dtype="float16", name="index"):
        folder = tmp_path / name
        with IndexWriter(folder, Manifest(MODEL, "image", dtype)) as writer:
            writer.append(rows)
        return folder

    return make


@pytest.fixture(scope="session")
def bundled():
    """The bundled model."""
    return load_model(batch_size=16)
