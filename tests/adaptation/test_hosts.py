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
from tests.adaptation.test_devices import SETTINGS as METHODS

DEVICES = "--xla_force_host_platform_device_count"
ROOT, WORKER = Path(__file__).parents[2], Path(__file__).with_name("one_of_several.py")
_spec = importlib.util.spec_from_file_location("one_of_several", WORKER)
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(count: int, folder: Path, query: str, methods: list[str]) -> list[dict[str, np.ndarray]]:
    """Runs the processes, with four devices together; what each of them found."""
    flags = [*os.environ["XLA_FLAGS"].split(), f"{DEVICES}={4 // count}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": " ".join(flags)}
    common = [str(count), str(free_port()), str(folder), query, ";".join(methods)]
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(i), *common],
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


@pytest.fixture(
    params=[
        (2, "text", ("tent", "reex, gallery")),
        pytest.param((2, "image", tuple(METHODS)), marks=pytest.mark.slow),
        pytest.param((4, "text", ("tent",)), marks=pytest.mark.slow),
        pytest.param((4, "image", ("tent",)), marks=pytest.mark.slow),
    ],
    ids=lambda given: f"{given[0]}-{given[1]}",
    scope="module",
)
def several(request, tmp_path_factory):
    """How many processes, their queries and methods, where they saved, what each of them found."""
    count, query, methods = request.param
    folder = tmp_path_factory.mktemp("several")
    gallery = worker.data(query)[1]
    share = len(gallery) // count
    for i in range(count):  # a process that reads what is another one's finds no unit rows
        rows = np.full_like(gallery, np.nan)
        rows[i * share : (i + 1) * share] = gallery[i * share : (i + 1) * share]
        np.save(folder / f"rows{i}.npy", rows)
    return count, query, methods, folder, start(count, folder, query, list(methods))


@pytest.fixture(scope="module")
def one_process(several, tiny):
    """An adapter that has learned alone, and what it found."""
    _, query, *_ = several
    adapter = Adapter(tiny, worker.data(query)[1], query=query, **worker.SETTINGS)
    return adapter, worker.adapted(adapter, query, 0, 1)


def test_several_processes_find_what_one_finds(several, one_process, tiny):
    """Batches of 16, 13 and 5; of the last, some processes have no part."""
    count, query, _, _, found = several
    adapter, alone = one_process
    for number, size in enumerate(worker.SIZES):
        for name in (f"plain{number}", f"calibrated{number}"):
            together = np.concatenate([one[name] for one in found])
            assert len(together) == size
            np.testing.assert_array_equal(together, alone[name])
    leaves = [name for name in alone if name.startswith(("loss", "state"))]
    for index, one in enumerate(found):
        for name in leaves:
            np.testing.assert_array_equal(one[name], found[0][name], err_msg=name)
            np.testing.assert_allclose(one[name], alone[name], rtol=2e-4, atol=2e-5, err_msg=name)
        # Each process asked for other queries; the one process asks for all of them.
        wanted = adapter.similarities(worker.probes(query, index, count), learn=False)
        np.testing.assert_allclose(one["scores"], wanted, rtol=1e-5, atol=1e-6)
    source = Adapter(tiny, worker.data(query)[1], query=query, method="none")
    before = source.similarities(worker.probes(query, 0, count), learn=False)
    assert np.abs(found[0]["scores"] - before).max() > 1e-3  # it has learned


def test_a_gallery_in_parts_is_searched_grown_and_saved(several, one_process, tiny):
    """Each process read and holds its own part; one process goes on from what they saved."""
    count, query, _, folder, found = several
    probes = np.concatenate([worker.probes(query, i, count) for i in range(count)])
    adapter = Adapter(tiny, worker.data(query)[1], query=query, **worker.SETTINGS)
    adapter.restore(folder / "saved")
    alone = worker.searched(adapter, probes, folder / "saved")
    for name, wanted in alone.items():
        rows = [one[name] for one in found]
        got = rows[0] if name.startswith("all") else np.concatenate(rows)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5, err_msg=name)
    before = np.asarray(adapter.correction())
    adapter.reset()
    adapter.restore(folder / "in parts")
    np.testing.assert_allclose(adapter.correction(), before, atol=1e-5)
    assert np.abs(before).max() > 1e-3


def test_what_one_process_refuses_all_refuse(several):
    count, query, *_, found = several
    last = len(worker.data(query)[1]) - 1
    for one in found:
        assert f"process {count - 1}: 1 gallery embeddings are not" in str(one["refused"])
        assert f"the first is row {last} (length 0)" in str(one["refused"])


def test_methods_learn_the_same_from_a_gallery_in_parts(several):
    _, _, methods, _, found = several
    for name, wanted in worker.toys(list(methods), split=False).items():
        for one in found:
            np.testing.assert_allclose(one[name], wanted, rtol=2e-4, atol=2e-5, err_msg=name)
            if "scores" in name:
                np.testing.assert_allclose(one[name], wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_batch_of_nothing_is_refused_where_nobody_else_has_a_part(tiny):
    queries, gallery = worker.data("text")
    adapter = Adapter(tiny, gallery, query="text", method="none")
    with pytest.raises(UserError, match="a batch of 0 queries"):
        adapter.ranks(queries[:0], np.zeros((0, 1), np.int32))
