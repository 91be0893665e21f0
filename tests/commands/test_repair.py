"""Repairing the queries of an experiment as a command does it."""

import sys

import PIL.Image
import pytest

from reex_jax.commands.repair import repair_queries
from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment
from reex_jax.settings.repair import RepairSettings


def test_every_text_query_gets_its_row(tmp_path, capsys):
    settings = RepairSettings(rewriter="none", cache=str(tmp_path))
    experiment = Experiment(gsr=settings, data=Data(num_images=3), progress=False)
    assert repair_queries(experiment).asked == 15
    said = capsys.readouterr().out
    assert f"repairing text queries with none, into {tmp_path}\n0 in the cache before; as" in said
    assert len(Cache(tmp_path).texts("none")) == 15
    small = repair_queries(Experiment(gsr=settings, runlocal=True, progress=False))
    assert small.asked + small.cached == 5 * 50


@pytest.mark.parametrize("cache", [False, True])
def test_images_are_not_decoded(tiny_coco, tmp_path, monkeypatch, cache):
    def refuse(*_):
        raise AssertionError("an image was opened")

    monkeypatch.setattr(PIL.Image, "open", refuse)
    data = Data(
        name="karpathy", root=str(tiny_coco), preset="coco", cache=str(tmp_path / "c") * cache
    )
    settings = RepairSettings(rewriter="none", cache=str(tmp_path / "gsr"))
    assert repair_queries(Experiment(gsr=settings, data=data, progress=False)).asked > 20


def test_there_must_be_a_rewriter():
    message = r"^gsr\.rewriter is '', so there is nothing to do; choose one: channel, symspell"
    with pytest.raises(UserError, match=message):
        repair_queries(Experiment())


def test_a_runner_needs_beam(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    settings = RepairSettings(rewriter="none", cache=str(tmp_path))
    with pytest.raises(UserError, match="--runner needs Apache Beam"):
        repair_queries(Experiment(gsr=settings, data=Data(num_images=1)), "DirectRunner")


def test_a_runner_leaves_the_accelerator_alone(tmp_path):
    settings = RepairSettings(rewriter="rescore", scorer="jax", model="m", cache=str(tmp_path))
    with pytest.raises(UserError, match=r"^--runner cannot have gsr\.scorer=jax: .*leave --runner"):
        repair_queries(Experiment(gsr=settings), "DirectRunner")
