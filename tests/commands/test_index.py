"""The commands `index ...` from the outside: what they print, and how they end."""

import subprocess
import sys

import pytest
from PIL import Image

from reex_jax.commands.list import COMMANDS
from reex_jax.commands.start import read_arguments, start, start_named
from reex_jax.datasets.scenes import image
from reex_jax.index import open_index

BY_NAME = {command.name: command for command in COMMANDS}


def run(name, *given):
    with pytest.raises(SystemExit) as end:
        start(BY_NAME[f"index {name}"], given)
    return end.value.code


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(image("test", 0, i)).save(folder / f"{i}.png")
    return folder


def test_build_add_verify_stats_remove(pictures, tmp_path, capsys):
    out, more = tmp_path / "out", tmp_path / "more"
    more.mkdir()
    Image.fromarray(image("test", 0, 9)).save(more / "0.png")
    (more / "bad.png").write_bytes(b"words")
    assert run("build", "--images", str(pictures), f"--out={out}", "--build.devices=1") == 0
    assert f"{out}: 4 items; embedded 4" in capsys.readouterr().out
    add = ["--index", str(out), f"--images={more}", "--build.devices=1"]
    assert run("add", *add, "--build.prefix=more/") == 0
    said = capsys.readouterr().out
    assert "5 items; embedded 1" in said and "left out 1" in said and "more/bad.png: " in said
    assert run("verify", "--index", str(out)) == 0
    assert "5 items, all as they were written" in capsys.readouterr().out
    assert run("stats", "--index", str(out)) == 0
    said = capsys.readouterr().out
    assert "5 items (image), 0 with caption, 5 with thumbnail" in said and "bundled" in said
    assert run("remove", "--index", str(out), "--ids=0.png,more/0.png") == 0
    (pictures / "2.png").unlink()
    assert run("remove", "--index", str(out), "--missing=true") == 0
    assert list(open_index(out).ids) == ["1.png", "3.png"]
    path = out / "rows-3" / "embeddings.bin"
    path.write_bytes(b"\0" * path.stat().st_size)
    assert "damaged" in run("verify", "--index", str(out))


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("build", ["--images=/nowhere", "--out={out}"], "no such folder or shard"),
        ("build", ["--images={empty}", "--out={out}"], "no items found"),
        ("build", ["--images={empty}"], "--out is missing"),
        ("build", ["--out={out}"], "give either --images"),
        ("build", ["--images={empty}", "--out={out}", "--build.dtyp=float32"], "build.dtype"),
        ("build", ["--images={empty}", "--out={out}", "--model=/nowhere/x"], "no such folder"),
        ("add", ["--images={empty}", "--index={out}"], "no index"),
        ("remove", ["--index={out}", "--ids=a"], "no index"),
        ("verify", ["--index={out}"], "no index"),
        ("stats", ["--index={out}"], "no index"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, name, given, words):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "out": tmp_path / "out"}
    message = run(name, *(one.format(**places) for one in given))
    assert words in message and "\n" not in message
    assert not (tmp_path / "out" / "index.json").exists()


def test_ids_that_are_not_there_remove_nothing(pictures, tmp_path):
    out = tmp_path / "out"
    run("build", f"--images={pictures}", f"--out={out}", "--build.devices=1")
    assert "no item has the id 'x'" in run("remove", f"--index={out}", "--ids=0.png,x")
    assert "all items would be removed" in run(
        "remove", f"--index={out}", "--ids=0.png,1.png,2.png,3.png"
    )
    assert "nothing to remove" in run("remove", f"--index={out}")
    assert len(open_index(out)) == 4


def test_names_of_two_words(monkeypatch, capsys):
    def said(*argv, group=""):
        monkeypatch.setattr(sys, "argv", ["reex_jax", *argv])
        start_named(COMMANDS, group)
        return capsys.readouterr().out

    assert "index build" in said() and "run " in said()
    for listed in (said("index"), said("index", "--help"), said(group="index")):
        assert "index stats" in listed and "ablate" not in listed
    for argv in (["index", "biuld"], ["indx"]):
        with pytest.raises(SystemExit, match="did you mean"):
            said(*argv)
    with pytest.raises(SystemExit) as end:
        said("index", "build", "--help")
    assert end.value.code == 0 and "--build.dtype" in capsys.readouterr().out


def test_help_and_mistakes_need_no_model():
    """Beyond settings nothing is imported: the answer comes at once."""
    code = (
        "import sys; sys.argv = ['x', 'build', '--help'];"
        "import runpy\n"
        "try: runpy.run_module('reex_jax.index', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert 'tensorflow_datasets' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


def test_settings_reach_the_command():
    given = ["--images=a", "--out=b", "--build.dtype=float32", "--build.workers=3"]
    settings = read_arguments(BY_NAME["index build"], given).settings
    assert (settings.dtype, settings.workers) == ("float32", 3)
