"""Embeddings of others come in as they are, with their ids, or are refused with the reason."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from reex_jax.errors import UserError
from reex_jax.index import open_index
from reex_jax.index.imports import find_embeddings, import_embeddings
from reex_jax.index.manifest import Manifest
from reex_jax.index.writer import IndexWriter


@pytest.fixture
def take(tmp_path, toy_model):
    """(source, **options) -> the index that it becomes."""

    def run(source, **options):
        found = find_embeddings(source, **options)
        new = Manifest(toy_model, found.modality, "float32", imported=found.kind)
        with IndexWriter(tmp_path / "out", new) as writer:
            assert import_embeddings(writer, found, shown=False) == found.items
        return open_index(tmp_path / "out")

    return run


def write_clip_retrieval(folder, parts, **columns):
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for number, (rows, ids) in parts.items():
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", rows)
        table = {"image_path": ids, "caption": [f"of {i}" for i in ids]} | columns
        pyarrow.parquet.write_table(
            pyarrow.table(table), folder / "metadata" / f"metadata_{number}.parquet"
        )
    return folder


def test_clip_retrieval_in_the_order_of_numbers(take, tmp_path, unit_rows):
    rows = unit_rows(0, 12)
    parts = {10: (rows[8:].astype(np.float16), list("ijkl")), 2: (rows[:8] * 3, list("abcdefgh"))}
    index = take(write_clip_retrieval(tmp_path / "cr", parts))
    assert "".join(index.ids) == "abcdefghijkl" and index.captions[9] == "of j"
    np.testing.assert_allclose(index.embeddings, rows, atol=1e-3)
    assert index.manifest.imported == "clip-retrieval (cr)" and index.thumbnail(0) is None


def test_a_killed_import_goes_on(tmp_path, toy_model, unit_rows):
    np.save(tmp_path / "e.npy", unit_rows(0, 9))
    new = Manifest(toy_model, "image", "float32")
    with IndexWriter(tmp_path / "out", new) as writer:
        found = find_embeddings(tmp_path / "e.npy")
        import_embeddings(writer, found, shown=False)
        writer.remove([5, 6, 7, 8])
        assert import_embeddings(writer, find_embeddings(tmp_path / "e.npy"), shown=False) == 4
    np.testing.assert_allclose(open_index(tmp_path / "out").embeddings, unit_rows(0, 9), atol=1e-6)


def test_npy_with_ids(take, tmp_path, unit_rows):
    np.save(tmp_path / "e.npy", unit_rows(0, 3))
    (tmp_path / "ids.txt").write_text("one\ntwo\nthree\n")
    index = take(tmp_path / "e.npy", ids_file=tmp_path / "ids.txt", text=True)
    assert list(index.ids) == ["one", "two", "three"] and index.modality == "text"
    (tmp_path / "ids.txt").write_text("one\ntwo\n")
    with pytest.raises(UserError, match="has 2 lines, but the embeddings have numbers up to 2"):
        take(tmp_path / "e.npy", ids_file=tmp_path / "ids.txt")


def test_usearch(take, tmp_path, unit_rows):
    usearch = pytest.importorskip("usearch.index")
    rows, numbers = unit_rows(0, 40), np.arange(40, dtype=np.uint64)[::-1] + 5
    graph = usearch.Index(ndim=8, metric="cos", dtype="f32")
    graph.add(np.ascontiguousarray(numbers), rows)
    graph.save(str(tmp_path / "g.usearch"))
    index = take(tmp_path / "g.usearch")
    assert index.ids[0] == "5" and index.ids[39] == "44"
    np.testing.assert_allclose(index.embeddings, rows[::-1], atol=1e-6)


@pytest.mark.filterwarnings("default")  # of the library
@pytest.mark.parametrize("kind", ["flat", "map", "hnsw"])
def test_faiss(take, tmp_path, unit_rows, kind):
    faiss = pytest.importorskip("faiss")
    rows = unit_rows(0, 40)
    made = faiss.IndexFlatIP(8) if kind != "hnsw" else faiss.IndexHNSWFlat(8, 8)
    if kind == "map":
        made = faiss.IndexIDMap(made)
        made.add_with_ids(rows, np.arange(40) + 7)
    else:
        made.add(rows)
    faiss.write_index(made, str(tmp_path / "g.faiss"))
    index = take(tmp_path / "g.faiss")
    assert index.ids[0] == ("7" if kind == "map" else "0")
    np.testing.assert_allclose(index.embeddings, rows, atol=1e-6)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.npy", b"words", "no array of NumPy"),
        ("e.usearch", b"words", "no index of usearch"),
        ("e.faiss", b"words", "no index of faiss"),
        ("e.bin", b"words", "unknown kind of embeddings"),
    ],
)
def test_damaged_and_unknown_files(tmp_path, name, content, words):
    if name in ("e.usearch", "e.faiss"):
        pytest.importorskip(name[2:])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        find_embeddings(tmp_path / name)


def test_what_does_not_fit_is_refused(take, tmp_path, unit_rows):
    with pytest.raises(UserError, match="no such file or folder"):
        take(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no img_emb/\*\.npy"):
        take(tmp_path / "empty")
    np.save(tmp_path / "wide.npy", unit_rows(0, 3, 9))
    with pytest.raises(UserError, match="the model's are 8 wide"):
        take(tmp_path / "wide.npy")
    rows = unit_rows(0, 3)
    rows[1] = np.nan
    np.save(tmp_path / "nan.npy", rows)
    with pytest.raises(UserError, match="the embedding of '1' is zero or not finite"):
        take(tmp_path / "nan.npy")
    np.save(tmp_path / "ints.npy", np.ones((2, 8), int))
    with pytest.raises(UserError, match="of a float type"):
        take(tmp_path / "ints.npy")


def test_tables_that_do_not_belong_to_their_arrays(take, tmp_path, unit_rows):
    rows = unit_rows(0, 2)
    folder = write_clip_retrieval(tmp_path / "a", {0: (rows, ["a", "a"])})
    with pytest.raises(UserError, match="'a' is empty or comes twice"):
        take(folder)
    folder = write_clip_retrieval(tmp_path / "b", {0: (unit_rows(0, 3), ["a", "b"])})
    with pytest.raises(UserError, match=r"has 3 rows, and .* 2"):
        take(folder)
    (folder / "metadata" / "metadata_0.parquet").write_bytes(b"words")
    with pytest.raises(UserError, match="no Parquet file"):
        take(folder)
    (folder / "metadata" / "metadata_0.parquet").unlink()
    with pytest.raises(UserError, match="do not belong together"):
        take(folder)
