"""Checkpoints of every family, and what the project may know of a model."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from reex_jax import Clip, load_model
from reex_jax.errors import UserError
from reex_jax.models.two_tower import TwoTower

TINY = Path(__file__).parents[1] / "data" / "golden" / "clip_tiny"
ADAPTATION = Path(__file__).parents[2] / "reex_jax" / "adaptation"


def test_a_family_is_recognised_by_its_configuration():
    model = load_model(TINY, precision="float32", batch_size=4)
    assert isinstance(model, Clip) and model.folder == TINY and model.batch_size == 4
    assert (model.dim, model.mode, len(model.sha256)) == (32, "clip", 64)
    assert load_model("bundled").folder.name == "bundled"


def test_a_family_that_is_not_supported_is_told_so(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "align"}))
    message = r"'align' is not supported; supported: clip, siglip, blip, and open_clip's layout"
    with pytest.raises(UserError, match=message):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: cannot be read as JSON"):
        load_model(tmp_path)
    with pytest.raises(UserError, match="no such folder, and not a hub id either"):
        load_model(tmp_path / "nowhere" / "at" / "all")


def test_clip_has_every_member_of_the_protocol():
    wanted = {name for name in vars(TwoTower) if not name.startswith("_")}
    assert len(wanted) > 10 and wanted <= set(dir(Clip)) | {"folder", "batch_size"}
    for name in wanted - {"folder", "batch_size"}:
        theirs, own = getattr(TwoTower, name), getattr(Clip, name)
        if inspect.isfunction(theirs):
            assert list(inspect.signature(own).parameters) == list(
                inspect.signature(theirs).parameters
            )


def test_adaptation_knows_no_family():
    for path in ADAPTATION.rglob("*.py"):
        assert "models.clip" not in path.read_text("utf-8"), path.name


def test_towers_say_what_adapts():
    for query, outer in (("image", "pre_norm"), ("text", "final_norm")):
        tower = load_model(TINY).query_tower(query)
        inside = ("blocks", "mlp_norm", "scale")
        assert tower.is_layer_norm(inside) and tower.in_blocks(inside)
        assert tower.is_layer_norm((outer, "bias")) and not tower.in_blocks((outer, "bias"))
        assert not tower.is_layer_norm(("blocks", "query", "kernel"))
        assert not tower.before_blocks(inside) and not tower.before_blocks(("projection", "kernel"))
    for query, early in (("image", "pre_norm"), ("image", "class_embedding")):
        assert load_model(TINY).query_tower(query).before_blocks((early, "bias"))
    assert load_model(TINY).query_tower("text").before_blocks(("token_embedding",))
    assert np.isclose(load_model(TINY).temperature, 0.07)
