"""What the tests of the benchmark share: a run of a dozen scenes, and what to compare of it."""

import pytest

from reex_jax.benchmark import passes
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment

NUM_IMAGES = 12
TIMINGS = {"queries_per_s", "step_ms", "compile_s", "peak_memory_mb"}


@pytest.fixture(scope="session")
def small_config():
    """(results folder, **changes, nested ones as mappings) -> an experiment of a second."""

    def make(results, **changes):
        experiment = Experiment(
            data=Data(num_images=NUM_IMAGES),
            corruptions=Corruptions(image=("gaussian_noise",), text=("keyboard",)),
            results=str(results) or "results",
            batch_size=8,
            progress=False,
        )
        return experiment.replaced(changes)

    return make


@pytest.fixture(scope="session")
def numbers():
    """Rows -> the same without what differs from run to run."""

    def without_timings(rows):
        return [{key: value for key, value in row.items() if key not in TIMINGS} for row in rows]

    return without_timings


@pytest.fixture
def measured(monkeypatch):
    """Descriptions of the passes that are measured from now on."""
    found = []

    def record(adapter, clip, data, source, one, *rest, **settings):
        found.append(str(one))
        return original(adapter, clip, data, source, one, *rest, **settings)

    original = passes.measure
    monkeypatch.setattr(passes, "measure", record)
    return found
