"""Which items a folder, shards and files of texts hold, and what of them cannot be one."""

import io
import json
import os
import tarfile

import pytest
from PIL import Image

from reex_jax.datasets.skipped import Skipped
from reex_jax.errors import UserError
from reex_jax.index.entries import text_entries
from reex_jax.index.folder_entries import folder_entries
from reex_jax.index.shard_entries import shard_entries, shards_of
from reex_jax.index.sources import entries_of, image_entries
from reex_jax.settings.indexing import Indexing


def png(colour="red", size=(8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def parts(found):
    entries, faults = [], {}
    for one in found:
        if isinstance(one, Skipped):
            faults[one.id] = one.reason
        else:
            entries.append(one)
    return entries, faults


def shard(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


class TestFolders:
    def test_pictures_by_path_with_the_texts_beside_them(self, tmp_path):
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "two.JPG").write_bytes(b"two")
        (tmp_path / "one.png").write_bytes(b"one")
        (tmp_path / "one.txt").write_text(" a red\nsquare ")
        (tmp_path / "notes.md").write_text("no picture")
        entries, faults = parts(folder_entries(tmp_path, prefix="mine/"))
        assert [entry.id for entry in entries] == ["mine/one.png", "mine/b/two.JPG"]
        assert [entry.read() for entry in entries] == [(b"one", "a red square"), (b"two", "")]
        assert entries[1].place == str(tmp_path / "b" / "two.JPG") and not faults

    def test_a_change_of_file_or_caption_changes_the_stamp(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"one")
        (tmp_path / "a.txt").write_text("red")

        def stamp():
            return parts(folder_entries(tmp_path))[0][0].stamp

        first = stamp()
        assert stamp() == first
        (tmp_path / "a.txt").write_text("a longer text")
        second = stamp()
        os.utime(tmp_path / "a.png", (1, 1))
        assert len({first, second, stamp()}) == 3

    def test_a_captions_file(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"one")
        (tmp_path / "b.png").write_bytes(b"two")
        (tmp_path / "c.jsonl").write_text(
            json.dumps({"image": "a.png", "caption": ["first", "second"]}) + "\n{}\n"
        )
        entries, faults = parts(folder_entries(tmp_path, captions=tmp_path / "c.jsonl"))
        assert [entry.read()[1] for entry in entries] == ["first", ""]
        assert list(faults) == ["c.jsonl line 2"]

    def test_links_that_leave_pipes_and_dead_links_are_listed(self, tmp_path):
        inside, outside = tmp_path / "in", tmp_path / "out"
        (inside / "real").mkdir(parents=True)
        outside.mkdir()
        (outside / "secret.png").write_bytes(b"secret")
        (inside / "real" / "a.png").write_bytes(b"a")
        (inside / "good.png").symlink_to(inside / "real" / "a.png")
        (inside / "leaves.png").symlink_to(outside / "secret.png")
        (inside / "dead.png").symlink_to(inside / "nothing.png")
        (inside / "circle.png").symlink_to(inside / "circle.png")
        (inside / "folder").symlink_to(outside)
        os.mkfifo(inside / "pipe.png")
        entries, faults = parts(folder_entries(inside))
        assert sorted(entry.id for entry in entries) == ["good.png", "real/a.png"]
        assert "leaves the folder" in faults["leaves.png"]
        assert "not followed" in faults[str(inside / "folder")]
        assert "no file" in faults["pipe.png"]
        assert {"dead.png", "circle.png"} <= set(faults)

    def test_a_name_that_is_no_text_is_listed(self, tmp_path):
        try:
            (tmp_path / os.fsdecode(b"bad\xff.png")).write_bytes(b"x")
        except OSError:
            pytest.skip("this system has no such names")
        entries, faults = parts(folder_entries(tmp_path))
        assert not entries and list(faults.values()) == ["the file's name is no text; rename it"]

    def test_too_large_and_empty_files_are_refused_when_read(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"x" * 20)
        (tmp_path / "b.png").write_bytes(b"")
        (large, empty), _ = parts(folder_entries(tmp_path, limit=10))
        with pytest.raises(UserError, match="20 bytes are more than"):
            large.read()
        with pytest.raises(UserError, match="empty"):
            empty.read()


class TestShards:
    def test_samples_with_their_captions(self, tmp_path):
        path = shard(
            tmp_path / "0.tar",
            [
                ("a.jpg", b"one"),
                ("a.txt", b"red "),
                ("x/b.jpeg", b"two"),
                ("x/b.json", b'{"caption": "blue"}'),
                ("c.png", b"three"),
                ("c.json", b"torn"),
                ("d.txt", b"alone"),
            ],
        )
        entries, faults = parts(shard_entries([path], prefix="p-"))
        read = [(entry.id, *entry.read()) for entry in entries]
        assert read == [("p-a", b"one", "red"), ("p-x/b", b"two", "blue"), ("p-c", b"three", "")]
        assert entries[0].place == f"{path}#a" and not faults

    def test_the_same_sample_elsewhere_has_another_stamp(self, tmp_path):
        path = shard(tmp_path / "0.tar", [("a.jpg", b"one"), ("b.jpg", b"two")])
        first = [entry.stamp for entry in parts(shard_entries([path]))[0]]
        assert [entry.stamp for entry in parts(shard_entries([path]))[0]] == first
        shard(path, [("a.jpg", b"onE"), ("b.jpg", b"two")])
        os.utime(path, (5, 5))
        assert not set(first) & {entry.stamp for entry in parts(shard_entries([path]))[0]}

    def test_a_shard_that_is_cut_off_gives_what_is_whole(self, tmp_path):
        path = shard(tmp_path / "0.tar", [("a.jpg", b"1" * 600), ("b.jpg", b"2" * 3000)])
        path.write_bytes(path.read_bytes()[:2500])
        entries, _ = parts(shard_entries([path]))
        assert entries[0].read()[0] == b"1" * 600
        for torn in entries[1:]:
            with pytest.raises(UserError, match="cut off"):
                torn.read()

    @pytest.mark.parametrize("content", [b"", b"no tar " * 100, b"\x1f\x8b\x08" + b"\0" * 600])
    def test_what_is_no_shard_is_listed(self, tmp_path, content):
        path = tmp_path / "0.tar"
        path.write_bytes(content)
        entries, faults = parts(shard_entries([path]))
        assert not entries and "no plain tar file" in faults[str(path)]

    def test_ranges_and_patterns(self, tmp_path):
        for n in range(8, 12):
            shard(tmp_path / f"s-{n:03d}.tar", [])
        names = [path.name for path in shards_of(str(tmp_path / "s-{008..010}.tar"))]
        assert names == ["s-008.tar", "s-009.tar", "s-010.tar"]
        assert len(shards_of(str(tmp_path / "*.tar"))) == 4
        with pytest.raises(UserError, match=r"s-012\.tar: no such shard"):
            shards_of(str(tmp_path / "s-{008..012}.tar"))
        with pytest.raises(UserError, match="is no range"):
            shards_of(str(tmp_path / "s-{9..3}.tar"))
        with pytest.raises(UserError, match="no such shard"):
            shards_of(str(tmp_path / "*.zip"))


class TestTexts:
    def test_lines_and_captions_files(self, tmp_path):
        (tmp_path / "t.txt").write_text("one\n\n two \n" + "w " * 2000)
        entries, faults = parts(text_entries(tmp_path / "t.txt", "t"))
        assert [(e.id, e.read()) for e in entries] == [("t0", (b"", "one")), ("t2", (b"", "two"))]
        assert "2000 words" in faults["t.txt line 4"]
        (tmp_path / "t.csv").write_text("image,caption\na.png,one\na.png,two\n")
        entries, _ = parts(text_entries(tmp_path / "t.csv"))
        assert [(e.id, e.read()[1]) for e in entries] == [("a.png#0", "one"), ("a.png#1", "two")]

    def test_unreadable_files_are_named(self, tmp_path):
        (tmp_path / "t.txt").write_bytes(b"\xff\xfe")
        with pytest.raises(UserError, match="not UTF-8"):
            list(text_entries(tmp_path / "t.txt"))
        with pytest.raises(UserError, match="cannot be read"):
            list(text_entries(tmp_path / "none.txt"))


def test_what_a_user_names_is_found_out(tmp_path):
    settings = Indexing()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    (tmp_path / "shards").mkdir()
    shard(tmp_path / "shards" / "0.tar", [("b.png", png())])
    for name, ids in (("pictures", ["a.png"]), ("shards", ["b"]), ("shards/0.tar", ["b"])):
        entries, _ = parts(image_entries(tmp_path / name, settings))
        assert [entry.id for entry in entries] == ids
    with pytest.raises(UserError, match="no such folder or shard"):
        image_entries(tmp_path / "none", settings)
    with pytest.raises(UserError, match="captions is for a folder of pictures"):
        image_entries(tmp_path / "shards", settings, "captions.csv")
    with pytest.raises(UserError, match="give either --images"):
        entries_of("", "", "", settings)
    with pytest.raises(UserError, match="give either --images"):
        entries_of("a", "b", "", settings)
