"""Paths that users name: the home folder, other spellings of a name, pointers of Git LFS."""

import unicodedata

import pytest

from reex_jax.errors import UserError, printable
from reex_jax.files import FileFinder, home, read_json, refuse_pointer

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 598641023\n"


def test_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home("~") == tmp_path and home("~/a/b") == tmp_path / "a" / "b"
    assert str(home("a/~/b")) == "a/~/b" and str(home("~nobody-at-all/x")) == "~nobody-at-all/x"


def test_another_unicode_form_is_the_same_name(tmp_path):
    for made, asked in (("NFC", "NFD"), ("NFD", "NFC")):
        folder = tmp_path / unicodedata.normalize(made, "möbel")
        folder.mkdir()
        file = folder / unicodedata.normalize(made, "stühle é.png")
        file.write_text("")
        path = tmp_path / unicodedata.normalize(asked, "möbel/stühle é.png")
        assert not path.exists()
        assert FileFinder().find(path) == file
        file.unlink()
        folder.rmdir()


def test_what_exists_or_is_not_there_stays(tmp_path):
    (tmp_path / "a.jpg").write_text("")
    finder = FileFinder()
    for name in ("a.jpg", "A.jpg", "no/a.jpg", "x" * 5000):
        assert finder.find(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize("asked", ["A.jpg", "a.JPG", "a.jpeg", "a"])
def test_the_nearest_name_is_found(tmp_path, asked):
    (tmp_path / "a.jpg").write_text("")
    assert FileFinder().near(tmp_path / asked) == "a.jpg"
    assert FileFinder().near(tmp_path / "a.jpg") == ""
    assert FileFinder().near(tmp_path / "b.jpg") == FileFinder().near(tmp_path / "no" / "a") == ""


def test_pointers_are_told_from_files(tmp_path):
    (tmp_path / "a.json").write_text(POINTER)
    with pytest.raises(UserError, match=r"a\.json: a pointer of Git LFS, .* run 'git lfs pull'"):
        refuse_pointer(tmp_path / "a.json")
    with pytest.raises(UserError, match="a pointer of Git LFS"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"version": 1}')
    refuse_pointer(tmp_path / "a.json")
    refuse_pointer(tmp_path / "missing")
    assert read_json(tmp_path / "a.json") == {"version": 1}


def test_nested_json_is_an_error_of_its_file(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"a\.json: cannot be read as JSON"):
        read_json(tmp_path / "a.json")


def test_messages_have_no_control_characters():
    assert printable("a\x1b[2Jb\x00\u202ec\ud800\u2028") == (r"a\x1b[2Jb\x00\u202ec\ud800\u2028")
    assert printable("zwei\nZeilen\tä 漢 👩\u200d👧") == "zwei\nZeilen\tä 漢 👩\u200d👧"
    assert str(UserError("\x1b]0;title\x07.png: no such file")) == (
        r"\x1b]0;title\x07.png: no such file"
    )
