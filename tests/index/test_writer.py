"""Changes of an index are whole or not there, whatever happens in between."""

import errno

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.index import open_index, writer
from reex_jax.index.manifest import Manifest
from reex_jax.index.rows import append_rows
from reex_jax.index.writer import IndexWriter


def same(index, rows):
    assert list(index.ids) == [row.id for row in rows]
    assert [index.captions[i] for i in range(len(rows))] == [row.caption for row in rows]
    assert [index.thumbnail(i) for i in range(len(rows))] == [r.thumbnail or None for r in rows]
    half = np.array([row.embedding for row in rows]).astype(np.float16)
    np.testing.assert_array_equal(index.embeddings, half)


def test_what_is_added_stands_behind(toy, make_rows):
    first, second = make_rows(0, 5), make_rows(1, 4)
    folder = toy(first)
    before = open_index(folder)
    with IndexWriter(folder) as changed:
        changed.append(second)
        changed.append([])
    same(open_index(folder), [*first, *second])
    same(before, first)


@pytest.mark.parametrize("gone", [[0], [8], [3, 4, 5], [0, 2, 4, 6, 8], [1, 1, 7]])
def test_what_is_removed_is_gone_and_open_indexes_stay(toy, make_rows, gone):
    rows = make_rows(0, 9)
    folder = toy(rows)
    before = open_index(folder)
    with IndexWriter(folder) as changed:
        changed.remove(gone)
    after = open_index(folder)
    same(after, [row for i, row in enumerate(rows) if i not in gone])
    assert after.rows.check_sum(0) == after.rows.checks[0]
    same(before, rows)
    assert [path.name for path in folder.glob("rows-*")] == ["rows-2"]
    with IndexWriter(folder) as changed:
        changed.append(make_rows(1, 2))
    assert open_index(folder).ids[-1] == "item-1-1"


def test_all_may_go_and_others_come(toy, make_rows):
    folder = toy(make_rows(0, 3))
    with IndexWriter(folder) as changed:
        changed.remove([0, 1, 2])
        with pytest.raises(UserError, match="holds no items"):
            open_index(folder)
        changed.append(make_rows(1, 2))
    same(open_index(folder), make_rows(1, 2))


def test_rows_that_a_killed_process_wrote_do_not_count(toy, make_rows):
    first, lost, second = make_rows(0, 5), make_rows(1, 7), make_rows(2, 3)
    folder = toy(first)
    manifest = IndexWriter(folder)
    append_rows(folder, manifest.manifest, lost)  # killed before the manifest
    manifest.__exit__()
    (folder / "rows-2").mkdir()  # and in the middle of a removal
    (folder / "index.json.torn").write_text("{")
    same(open_index(folder), first)
    with IndexWriter(folder) as changed:
        changed.append(second)
    same(open_index(folder), [*first, *second])
    assert {path.name for path in folder.iterdir()} == {"index.json", "rows-1", ".lock"}


def test_a_full_disk_leaves_what_was_there(toy, make_rows, monkeypatch):
    first = make_rows(0, 5)
    folder = toy(first)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with IndexWriter(folder) as changed:
        monkeypatch.setattr(writer, "append_rows", full)
        with pytest.raises(UserError, match="the disk is full; the 5 items before are kept"):
            changed.append(make_rows(1, 2))
        monkeypatch.setattr(writer, "copy_rows", full)
        with pytest.raises(UserError, match="the disk is full"):
            changed.remove([0])
    same(open_index(folder), first)


def test_one_process_at_a_time(toy, make_rows):
    folder = toy(make_rows(0, 2))
    with (
        IndexWriter(folder),
        pytest.raises(UserError, match="another process is changing this index"),
    ):
        IndexWriter(folder)
    with IndexWriter(folder):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path, toy_model):
    new = Manifest(toy_model, "image", "float16")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="holds something else than an index"):
        IndexWriter(tmp_path, new)
    with pytest.raises(UserError, match="is a file"):
        IndexWriter(tmp_path / "letter.txt", new)
    with pytest.raises(UserError, match="no index"):
        IndexWriter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (("text", "float16"), "has items 'image', not 'text'"),
        (("image", "float32"), "has dtype 'float16', not 'float32'"),
    ],
)
def test_what_an_index_is_does_not_change(toy, make_rows, toy_model, other, words):
    folder = toy(make_rows(0, 2))
    with pytest.raises(UserError, match=words):
        IndexWriter(folder, Manifest(toy_model, *other))
