"""What the tests of adaptation share: batches made by hand, the tiny model, streams of a toy."""

import logging
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.adaptation.make_method import make_method
from reex_jax.adaptation.objective import Batch, Objective
from reex_jax.adaptation.replicas import first_copy, replicate
from reex_jax.adaptation.state import initial_state
from reex_jax.adaptation.update import compile_update
from reex_jax.arrays import unit
from reex_jax.models.clip.api import load_clip
from reex_jax.retrieval.calibration import nothing_seen
from reex_jax.retrieval.part import AXIS
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.ranking import Ranking

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
WIDTH = 12


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
    return draw_unit_rows


def draw_unit_rows(seed: int, n: int, d: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, d))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def make_batch():
    """(queries, gallery, **fields) -> a `Batch` as a loss sees it, outside of any step."""

    def make(queries, gallery, *, real=None, step=0, index=0, temperature=0.05, **others):
        rows, ranking = len(queries), others.get("ranking", Ranking())
        mask = jnp.arange(rows) < (rows if real is None else real)
        calibration = nothing_seen(*np.shape(gallery), ranking)
        return Batch(
            queries=jnp.asarray(queries),
            gallery=jnp.asarray(gallery),
            mask=mask,
            temperature=jnp.float32(temperature),
            step=jnp.int32(step),
            index=jnp.int32(index),
            key=jax.random.key(7),
            sources=jnp.asarray(others.get("sources", queries)),
            counted=mask & jnp.asarray(others.get("counted", True)),
            changed=jnp.bool_(others.get("changed", False)),
            calibration=others.get("calibration", calibration),
            ranking=ranking,
            shuffled=lambda: jnp.asarray(others["shuffled"]),
        )

    return make


def toy_encoder() -> QueryEncoder:
    """Scales and shifts the query, then a fixed matrix: compiles in a fraction of CLIP's time."""
    matrix = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    parameters = {"scale": jnp.ones(WIDTH), "bias": jnp.zeros(WIDTH)}

    def front(constants, inputs):
        del constants
        return inputs

    def back(parameters, constants, inputs):
        moved = inputs * parameters["scale"][None] + parameters["bias"][None]
        return unit(moved @ constants.frozen)

    shuffle = jax.vmap(lambda row, key: jax.random.permutation(key, row))
    return QueryEncoder(front, back, shuffle, parameters, jnp.asarray(matrix))


class ToyStream:
    """The compiled update step around the toy, with `rows` rows whatever the batch holds.

    Of several processes each gives the whole batch; the devices of each take their part of it.
    """

    def __init__(
        self,
        method: str | Objective,
        *,
        rows: int = 8,
        devices: int = 1,
        learning_rate: float = 1e-2,
        ranking: Ranking | None = None,
        split: bool = False,
        **settings,
    ) -> None:
        """`split` gives each device a part of the gallery, with two free places in all."""
        self.split = split
        settings = {"batch_size": 64} | settings
        if isinstance(method, str):
            objective, _, shared = make_method(method, settings)
        else:
            objective, shared = method, AdaptSettings(**settings)
        self.devices, self.rows = jax.devices()[:devices], rows
        self.own = [d.process_index == jax.process_index() for d in self.devices]
        self.encoder, self.objective, self.shared = toy_encoder(), objective, shared
        self.ranking = ranking or Ranking()
        self.update: Callable = compile_update(
            objective,
            self.encoder,
            shared,
            self.ranking,
            self.devices,
            AXIS if split else None,
        )
        self.restart(learning_rate)

    def restart(self, learning_rate: float) -> None:
        """A new stream through the same program."""
        self.constants = Constants(
            self.encoder.frozen,
            self.encoder.parameters,
            jnp.asarray(draw_unit_rows(1, 30, WIDTH)),
            jnp.float32(0.05),
            jnp.float32(learning_rate),
        )
        if self.split:
            rows = jnp.pad(self.constants.gallery, ((0, 2), (0, 0)))
            self.constants = self.constants._replace(gallery=rows, items=jnp.int32(30))
        self.replicated = replicate(self.constants, self.devices)
        if self.split:
            parts = rows.reshape(len(self.devices), -1, WIDTH)
            sharding = self.replicated.temperature.sharding
            own = jax.device_put(parts[np.array(self.own)], sharding)
            self.replicated = self.replicated._replace(gallery=own)
        first = initial_state(self.objective, self.shared, self.constants, self.ranking)
        self.live = replicate(first, self.devices)

    def __call__(self, queries: np.ndarray):
        """Adapts to [n, WIDTH] queries: their embeddings [n, WIDTH] and the diagnostics."""
        count, share = len(queries), (len(self.devices), self.rows // len(self.devices))
        padded = np.pad(queries, [(0, self.rows - count), (0, 0)], mode="edge")
        mask = (np.arange(self.rows) < count).reshape(share)
        parts = padded.reshape(*share, -1)[self.own]
        self.live, embeddings, diagnostics = self.update(
            self.replicated, self.live, parts, mask[self.own]
        )
        found = jax.device_get(first_copy((embeddings, diagnostics)))
        return found[0][:count], found[1]

    @property
    def state(self):
        """The first device's `AdaptState`, on the host."""
        return jax.device_get(first_copy(self.live))


@pytest.fixture(scope="session")
def toy_stream():
    """The class `ToyStream`."""
    return ToyStream


@pytest.fixture(scope="session")
def toy_queries():
    """(seed, n) -> [n, WIDTH] float32 inputs of the toy encoder."""
    return lambda seed, n: np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float32)


@pytest.fixture
def compilations(caplog):
    """A context that fills a list with the names of what is compiled inside it."""

    @contextmanager
    def counted():
        found: list[str] = []
        caplog.clear()
        with caplog.at_level(logging.WARNING), jax.log_compiles():
            yield found
        for record in caplog.records:
            message = record.getMessage()
            if message.startswith("Finished XLA compilation of "):
                found.append(message.split()[4])

    return counted
