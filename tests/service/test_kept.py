"""Folders that are whole at any moment."""

import pytest

from reex_jax.errors import UserError
from reex_jax.service.history import History
from reex_jax.service.kept import kept_folder, replace_folder, writable_folder


def write(word):
    def make(folder):
        folder.mkdir()
        (folder / "word").write_text(word, "utf-8")

    return make


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "deep" / "state"
    replace_folder(folder, write("one"))
    replace_folder(folder, write("two"))
    assert (kept_folder(folder) / "word").read_text("utf-8") == "two"
    assert [path.name for path in folder.parent.iterdir()] == ["state"]


def test_what_fails_leaves_the_old_one(tmp_path):
    folder = tmp_path / "state"
    replace_folder(folder, write("one"))

    def fail(new):
        write("half")(new)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_folder(folder, fail)
    assert (kept_folder(folder) / "word").read_text("utf-8") == "one"
    replace_folder(folder, write("two"))
    assert (kept_folder(folder) / "word").read_text("utf-8") == "two"


def test_killed_between_the_exchange_the_old_one_is_found(tmp_path):
    folder = tmp_path / "state"
    replace_folder(folder, write("one"))
    folder.rename(tmp_path / "state.old")
    assert (kept_folder(folder) / "word").read_text("utf-8") == "one"
    assert kept_folder(tmp_path / "other") is None


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UserError, match=r"serve\.state="):
        writable_folder(tmp_path / "file")
    assert writable_folder(tmp_path / "new").is_dir()


def test_history_goes_on_and_forgets_the_oldest(tmp_path):
    history = History(tmp_path)
    for number in range(2005):
        history.add("learned", number=number)
    history.save()
    again = History(tmp_path)
    assert len(again.latest()) == 2000
    assert [event["number"] for event in again.latest(2)] == [2003, 2004]
    (tmp_path / "history.jsonl").write_text("{", "utf-8")
    assert History(tmp_path).latest() == []
