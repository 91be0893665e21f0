"""Every back end against a loop in NumPy: found, added, removed; approximate ones nearly."""

import builtins
import errno
from pathlib import Path

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.index import open_index
from reex_jax.index.backends import load
from reex_jax.index.backends.exact import ExactSearch
from reex_jax.index.backends.load import open_backend
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter
from reex_jax.settings.search import BACKENDS, Search

LIBRARIES = {"usearch": "usearch", "faiss": "faiss", "qdrant": "qdrant_client"}
pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


def nearest(rows, queries, k):
    scores = queries.astype(np.float64) @ rows.astype(np.float64).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.fixture(params=BACKENDS)
def backend(request, toy, unit_rows):
    """(rows) -> a back end over an index of them."""
    if request.param != "exact":
        pytest.importorskip(LIBRARIES[request.param])

    def make(rows):
        folder = toy([Row(str(i), row) for i, row in enumerate(rows)], "float32", request.param)
        return open_backend(open_index(folder), Search(backend=request.param))

    return make


def overlap(found, right):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, right, strict=True)])


def test_finds_the_nearest_also_after_changes(backend, unit_rows):
    rows, queries = unit_rows(0, 300), unit_rows(1, 20)
    found = backend(rows)

    def check(rows):
        assert len(found) == len(rows)
        scores, positions = found.search(queries, 10)
        assert scores.dtype == np.float32 and positions.dtype == np.int32
        right_scores, right = nearest(rows, queries, 10)
        assert overlap(positions, right) >= 0.99
        np.testing.assert_allclose(scores[:, 0], right_scores[:, 0], atol=3e-3)
        own = (queries[:, None] * rows[positions]).sum(axis=2)
        np.testing.assert_allclose(scores, own, atol=3e-3)

    check(rows)
    more = unit_rows(2, 50)
    found.add(more)
    rows = np.concatenate([rows, more])
    check(rows)
    gone = np.array([0, 7, 8, 9, 299, 340, 349])
    found.remove(gone)
    rows = np.delete(rows, gone, axis=0)
    check(rows)
    found.add(more[:3])
    check(np.concatenate([rows, more[:3]]))


def test_impossible_searches_are_refused(backend, unit_rows):
    found = backend(unit_rows(0, 5))
    for k in (0, 6):
        with pytest.raises(UserError, match=f"k is {k}, but must lie in 1..5"):
            found.search(unit_rows(1, 1), k)
    with pytest.raises(UserError, match=r"but must be \[B, 8\]"):
        found.search(unit_rows(1, 1, 4), 1)
    with pytest.raises(UserError, match="all rows would be removed"):
        found.remove(np.arange(5))
    with pytest.raises(UserError, match=r"position 5 is not in 0\.\.4"):
        found.remove(np.array([5]))
    scores, positions = found.search(unit_rows(1, 1), 5)
    assert sorted(positions[0]) == [0, 1, 2, 3, 4] and np.all(np.diff(scores[0]) <= 1e-6)


@pytest.mark.parametrize("devices", [1, 3, 8])
def test_exact_search_is_exact_on_any_number_of_devices(unit_rows, devices):
    rows = unit_rows(0, 101)
    rows[50:60] = rows[7]  # ties go by position
    queries = np.concatenate([unit_rows(1, 9), rows[7:8]])
    found = ExactSearch(rows.astype(np.float16), devices)
    for k in (1, 12, 101):
        scores, positions = found.search(queries, k)
        half = rows.astype(np.float16).astype(np.float32)
        right_scores, right = nearest(half, queries, k)
        np.testing.assert_allclose(scores, right_scores, atol=1e-6)
        assert overlap(positions, right) == 1
        assert list(positions[-1, : min(k, 11)]) == [7, *range(50, 60)][: min(k, 11)]
    assert len(ExactSearch(rows[:2], devices)) == 2


@pytest.mark.parametrize("name", ["usearch", "faiss"])
def test_a_graph_is_kept_grows_and_is_made_anew(toy, unit_rows, monkeypatch, name):
    pytest.importorskip(LIBRARIES[name])
    rows = unit_rows(0, 200)
    folder = toy([Row(str(i), row) for i, row in enumerate(rows[:150])])
    open_backend(open_index(folder), Search(backend=name))
    (saved,) = (folder / "rows-1").glob(f"graph-*.{name}")
    first = saved.read_bytes()
    added = []

    original = load._GRAPHS[name].add

    def counted(self, rows):
        added.append(len(rows))
        original(self, rows)

    monkeypatch.setattr(load._GRAPHS[name], "add", counted)
    open_backend(open_index(folder), Search(backend=name))
    assert sum(added) == 0 and saved.read_bytes() == first
    with IndexWriter(folder) as writer:
        writer.append([Row(f"new-{i}", row) for i, row in enumerate(rows[150:])])
    found = open_backend(open_index(folder), Search(backend=name))
    assert sum(added) == 50
    assert overlap(found.search(rows[:50], 5)[1], nearest(rows, rows[:50], 5)[1]) > 0.97
    saved.write_bytes(b"torn")
    assert len(open_backend(open_index(folder), Search(backend=name))) == 200
    with IndexWriter(folder) as writer:
        writer.remove([0])
    assert len(open_backend(open_index(folder), Search(backend=name))) == 199
    assert list((folder / "rows-2").glob(f"graph-*.{name}"))


def test_a_folder_that_is_only_read_keeps_no_graph(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EROFS, "read-only file system")

    class Graph:
        save = refused

    monkeypatch.setattr(Path, "unlink", refused)  # as Linux has it, even of what is not there
    load._save(Graph(), tmp_path / "graph.usearch")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_named(toy, unit_rows, monkeypatch):
    index = open_index(toy([Row("a", unit_rows(0, 1)[0])]))
    own = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] in LIBRARIES.values():
            raise ImportError(f"No module named {name!r}")
        return own(name, *args, **kwargs)

    import importlib

    monkeypatch.setattr(importlib, "import_module", without)
    for name in LIBRARIES:
        with pytest.raises(UserError, match=r"which is not installed .* pip install"):
            open_backend(index, Search(backend=name))


def test_a_server_that_does_not_answer_is_named(toy, unit_rows):
    pytest.importorskip("qdrant_client")
    index = open_index(toy([Row("a", unit_rows(0, 1)[0])]))
    settings = Search(backend="qdrant", qdrant="http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"Qdrant at http://127\.0\.0\.1:9 cannot be used"):
        open_backend(index, settings)
