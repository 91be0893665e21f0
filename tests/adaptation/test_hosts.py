"""Several processes that share every batch find what one finds."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.errors import UserError

ROOT, WORKER = Path(__file__).parents[2], Path(__file__).with_name("one_of_several.py")
_spec = importlib.util.spec_from_file_location("one_of_several", WORKER)
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(count: int, folder: Path, query: str) -> list[dict[str, np.ndarray]]:
    """Runs the processes, each with two devices; what each of them found."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    port = str(free_port())
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(i), str(count), port, str(folder), query],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    try:
        errors = [one.communicate(timeout=500)[1] for one in running]
    finally:
        for one in running:
            one.kill()
    assert [one.returncode for one in running] == [0] * count, errors
    return [dict(np.load(folder / f"{i}.npz")) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "query"),
    [
        (2, "text"),
        pytest.param(2, "image", marks=pytest.mark.slow),
        pytest.param(4, "text", marks=pytest.mark.slow),
        pytest.param(4, "image", marks=pytest.mark.slow),
    ],
)
def test_several_processes_find_what_one_finds(count, query, tiny, tmp_path):
    """Batches of 16, 13 and 5; of the last, some processes have no part."""
    found = start(count, tmp_path, query)
    adapter = Adapter(tiny, worker.data(query)[1], query=query, **worker.SETTINGS)
    alone = worker.adapted(adapter, query, 0, 1)
    for number, size in enumerate(worker.SIZES):
        for name in (f"plain{number}", f"calibrated{number}"):
            together = np.concatenate([one[name] for one in found])
            assert len(together) == size
            np.testing.assert_array_equal(together, alone[name])
    leaves = [name for name in alone if name.startswith(("loss", "state"))]
    for one in found:
        for name in leaves:
            np.testing.assert_array_equal(one[name], found[0][name], err_msg=name)
            np.testing.assert_allclose(one[name], alone[name], rtol=2e-4, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(one["restored"], one["scores"], rtol=1e-5, atol=1e-6)
    # Each process asked for other queries; the one process asks for all of them.
    queries = worker.data(query)[0]
    for index, one in enumerate(found):
        wanted = adapter.similarities(queries[index::count][:3], learn=False)
        np.testing.assert_allclose(one["scores"], wanted, rtol=1e-5, atol=1e-6)
    source = Adapter(tiny, worker.data(query)[1], query=query, method="none")
    before = source.similarities(queries[::count][:3], learn=False)
    assert np.abs(found[0]["scores"] - before).max() > 1e-3  # it has learned


def test_a_batch_of_nothing_is_refused_where_nobody_else_has_a_part(tiny):
    queries, gallery = worker.data("text")
    adapter = Adapter(tiny, gallery, query="text", method="none")
    with pytest.raises(UserError, match="a batch of 0 queries"):
        adapter.ranks(queries[:0], np.zeros((0, 1), np.int32))
