"""Settings `data.*`: which fit each other, and how they shrink."""

import pytest

from reex_jax.errors import UserError
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.pretraining import Pretraining
from reex_jax.settings.repair import RepairSettings

COCO = {"name": "karpathy", "root": "/data", "preset": "coco"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"split": "tune"},
        {"name": "folder", "root": "/data", "captions_file": "a.csv", "max_images": 3},
        COCO,
        COCO | {"split": "restval", "images": "val2014"},
        COCO | {"released_images": "/a", "released_captions": "/b"},
        {"name": "karpathy", "root": "/data", "captions_file": "a.json"},
        {"name": "tfds", "root": "/data", "split": "train"},
        {"name": "tfds", "root": "/data", "preset": "coco", "released_images": "/a"},
        {"workers": 0, "cache": "/tmp"},
    ],
)
def test_settings_that_fit(changes):
    Data(**changes).check_complete()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"root": "pictures"},
            "data.root is 'pictures', but data.name is 'scenes', which does not read it; set "
            "data.name to 'folder' or 'karpathy' or 'tfds'",
        ),
        (
            {"name": "folder", "root": "/data", "preset": "coco"},
            "data.preset is 'coco', but data.name is 'folder', which does not read it; set "
            "data.name to 'karpathy' or 'tfds'",
        ),
        (
            {"released_images": "/a"},
            "data.released_images is '/a', but data.name is 'scenes', which does not read it; set "
            "data.name to 'karpathy' or 'tfds'",
        ),
        ({"name": "karpathy"}, "data.name is 'karpathy', so data.root must name the folder"),
        ({"name": "folder"}, "data.name is 'folder', so data.root must name the folder"),
        (
            {"name": "karpathy", "root": "/data"},
            "data.name is 'karpathy', so data.preset must be one of coco, flickr30k, or "
            "data.captions_file name the JSON file",
        ),
        (
            {"split": "val"},
            "data.split is 'val', but data set 'scenes' has train, tune, test",
        ),
        (
            COCO | {"split": "tune"},
            "data.split is 'tune', but data set 'karpathy' has train, restval, val, test",
        ),
        (
            {"name": "tfds", "root": "/data", "released_captions": "/b"},
            "data.released_captions is '/b', so data.preset must say how its folders are named: "
            "coco, flickr30k",
        ),
        (
            COCO | {"split": "val", "released_images": "/a"},
            "data.released_images is '/a', but data.split is 'val'; corruptions were released for "
            "the split 'test' only",
        ),
        (
            {"preset": "flikr30k"},
            "unknown value of data.preset: 'flikr30k'; did you mean 'flickr30k'? allowed: , coco, "
            "flickr30k",
        ),
        ({"max_images": -1}, "data.max_images is -1; it must be a whole number in 0..2147483647"),
        ({"workers": 1000}, "data.workers is 1000; it must be a whole number in 0..256"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(UserError) as error:
        Data.from_dict(changes, "data.").check_complete()
    assert str(error.value) == message


def test_what_an_experiment_may_leave_to_the_command_line():
    with pytest.raises(UserError, match=r"so data\.root must name the folder"):
        Data(name="karpathy", preset="coco").check_complete()


def test_small_copies():
    assert Data().shrunk().num_images == 50
    assert Data(num_images=8).shrunk().num_images == 8
    assert Data().shrunk().max_images == 0  # scenes have none
    assert Data(**COCO).shrunk().max_images == 50
    assert Data(**COCO, max_images=7).shrunk().max_images == 7
    original = Data(**COCO, max_images=700)
    assert original.shrunk().max_images == 50 and original.max_images == 700


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    data = Data(name="karpathy", root="~/coco", captions_file="~/c.json", cache="~")
    assert (data.root, data.captions_file, data.cache) == (
        "/home/me/coco",
        "/home/me/c.json",
        "/home/me",
    )
    assert Data.from_dict({"name": "folder", "root": "~/x"}).root == "/home/me/x"
    assert Data(name="folder", root="a/~").root == "a/~"


def test_every_path_of_a_run_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    run = Experiment(
        checkpoint="~/clip",
        results="~/results",
        corruptions=Corruptions(sentences="~/s.jsonl"),
        gsr=RepairSettings(cache="~/g", captions="~/c.txt", model="~/m"),
    )
    values = (run.checkpoint, run.results, run.corruptions.sentences)
    assert values == ("/home/me/clip", "/home/me/results", "/home/me/s.jsonl")
    assert (run.gsr.cache, run.gsr.captions, run.gsr.model) == (
        "/home/me/g",
        "/home/me/c.txt",
        "/home/me/m",
    )
    training = Pretraining(workdir="~/w", init="~/i")
    assert (training.workdir, training.init) == ("/home/me/w", "/home/me/i")


def test_too_many_scenes_are_refused_at_once():
    with pytest.raises(UserError, match=r"num_images is 2147483647; .* in 1\.\.1000000"):
        Data(num_images=2**31 - 1)
