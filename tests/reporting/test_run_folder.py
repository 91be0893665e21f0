"""Results folders: restart, torn lines, other configurations."""

import json
import logging
from types import SimpleNamespace

import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.rows import read_rows, stream_key
from reex_jax.reporting.run_folder import alone_in, open_run, run_id

CONFIG = {"method": ["none"], "seeds": [0], "results": "results", "run_id": "", "progress": True}
IDENTITY = {"settings": {"seeds": [0], "method": ["none"]}, "code": {"adaptation": "abc"}}
ROW = {
    "method": "none",
    "direction": "image_to_text",
    "corruption": "clean",
    "severity": 0,
    "seed": 0,
    "recall@1": 50.0,
}


def test_rows_survive_a_restart(tmp_path):
    folder = open_run(tmp_path / "run", CONFIG, {"started": "first"}, IDENTITY)
    folder.append(ROW)
    again = open_run(tmp_path / "run", CONFIG, {"started": "second"}, IDENTITY)
    assert read_rows(again.metrics) == [ROW]
    assert stream_key(ROW) == ("none", "image_to_text", "clean", 0, 0)
    assert json.loads((tmp_path / "run/environment.json").read_text())["started"] == "first"


def test_torn_last_line_is_dropped_and_reported(tmp_path, caplog):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    folder.append(ROW)
    with folder.metrics.open("a") as file:
        file.write('{"method": "no')
    with caplog.at_level(logging.WARNING):
        folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
        with alone_in(folder):
            assert "cut short by an interruption" in caplog.text
            folder.append(ROW | {"seed": 1})
    assert [row["seed"] for row in read_rows(folder.metrics)] == [0, 1]


def test_damaged_line_and_other_configuration_are_refused(tmp_path):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    other = IDENTITY | {"settings": {"seeds": [1], "method": ["none"]}}
    with pytest.raises(UserError, match=r"another settings: seeds; set run_id"):
        open_run(tmp_path, CONFIG, {}, other)
    with pytest.raises(UserError, match=r"another code: adaptation; set run_id"):
        open_run(tmp_path, CONFIG, {}, IDENTITY | {"code": {"adaptation": "abd"}})
    with pytest.raises(UserError, match=r"another code: gsr; set run_id"):
        open_run(tmp_path, CONFIG, {}, IDENTITY | {"code": IDENTITY["code"] | {"gsr": "abc"}})
    with pytest.raises(UserError, match=r"another code: set of adaptation; set run_id"):
        open_run(tmp_path, CONFIG, {}, IDENTITY | {"code": {}})
    with pytest.raises(UserError, match=r"another files; set run_id"):
        open_run(tmp_path, CONFIG, {}, IDENTITY | {"files": ["abc"]})
    folder.metrics.write_text('{"method": "none"}\n')
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_rows(folder.metrics)


def test_the_run_is_called_after_its_methods():
    def name(*methods):
        return run_id(methods, IDENTITY).rpartition("-")[0]

    assert name("tent") == "tent"
    assert name("none", "tent", "reex") == "3_methods"
    assert name("my.module:method, lr 0.1") == "my.module_method_lr_0.1"
    assert name("a/b\\c") == "a_b_c"


def test_each_stream_has_a_file_of_ranks_whatever_its_method_is_called(tmp_path):
    """Free names of variants: only some letters are kept, a dot is no suffix, and none collide."""
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    rows = [
        ROW | {"method": method, "corruption": corruption, "seed": seed}
        for method in ("lr 0.1", "lr_0.1", "lr/0.1", "lr 0.2")
        for corruption in ("clean", "fog")
        for seed in (0, 1)
    ]
    files = [folder.ranks(row) for row in rows]
    assert len(set(files)) == len(rows)
    for file in files:
        assert file.parent == tmp_path / "ranks" and file.parent.is_dir()
        assert file.name.startswith("lr_0.") and file.name.endswith(".npy")
    assert files[0].name.startswith("lr_0.1-image_to_text-clean-0-0-")
    assert files == [folder.ranks(row) for row in rows]


def test_checkpoints_are_told_apart_by_method_and_stream(tmp_path):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    first, second = (
        SimpleNamespace(direction="image_to_text", corruption=name, severity=5, seed=0)
        for name in ("fog", "snow")
    )
    paths = [folder.checkpoint(method, one) for method in ("a", "b") for one in (first, second)]
    assert len(set(paths)) == 4 and {path.parent for path in paths} == {tmp_path / "checkpoints"}
    assert (
        folder.ranks(ROW).stem
        == folder.checkpoint(
            "none",
            SimpleNamespace(direction="image_to_text", corruption="clean", severity=0, seed=0),
        ).name
    )


def test_restart_may_change_what_changes_no_number(tmp_path):
    open_run(tmp_path, CONFIG, {}, IDENTITY).append(ROW)
    folder = open_run(tmp_path, CONFIG | {"progress": False, "results": "elsewhere"}, {}, IDENTITY)
    assert read_rows(folder.metrics) == [ROW]


def test_reading_leaves_a_torn_line_out_and_alone(tmp_path, caplog):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    folder.append(ROW)
    with folder.metrics.open("a") as file:
        file.write('{"method": "no')
    before = folder.metrics.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert read_rows(folder.metrics) == [ROW]
    assert "left out its last line" in caplog.text
    assert folder.metrics.read_bytes() == before


def test_files_that_are_no_text(tmp_path):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    folder.metrics.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_rows(folder.metrics)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json is damaged.*remove the folder"):
        open_run(tmp_path, CONFIG, {}, IDENTITY)


def test_a_folder_of_an_earlier_version_is_read_and_not_added_to(tmp_path):
    folder = open_run(tmp_path, CONFIG, {}, IDENTITY)
    folder.append(ROW)
    (tmp_path / "environment.json").write_text("{}")
    with pytest.raises(UserError, match="another version of reex_jax; set run_id"):
        open_run(tmp_path, CONFIG, {}, IDENTITY)
    assert read_rows(folder.metrics) == [ROW] and folder.config() == CONFIG
    (tmp_path / "environment.json").unlink()
    with pytest.raises(UserError, match=r"environment\.json cannot be read.*remove the folder"):
        open_run(tmp_path, CONFIG, {}, IDENTITY)
