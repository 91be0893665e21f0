"""Results folders: restart, torn lines, other configurations."""

import json
import logging

import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.run_folder import open_run, read_rows, run_id, stream_key

CONFIG = {"method": "none", "seeds": [0], "results": "results", "run_id": "", "progress": True}
ROW = {
    "method": "none",
    "direction": "image_to_text",
    "corruption": "clean",
    "severity": 0,
    "seed": 0,
    "recall@1": 50.0,
}


def test_rows_survive_a_restart(tmp_path):
    folder = open_run(tmp_path / "run", CONFIG, {"started": "first"})
    folder.append(ROW)
    again = open_run(tmp_path / "run", CONFIG, {"started": "second"})
    assert read_rows(again.metrics) == [ROW]
    assert stream_key(ROW) == ("none", "image_to_text", "clean", 0, 0)
    assert json.loads((tmp_path / "run/environment.json").read_text())["started"] == "first"


def test_torn_last_line_is_dropped_and_reported(tmp_path, caplog):
    folder = open_run(tmp_path, CONFIG, {})
    folder.append(ROW)
    with folder.metrics.open("a") as file:
        file.write('{"method": "no')
    with caplog.at_level(logging.WARNING):
        folder = open_run(tmp_path, CONFIG, {})
    assert "cut short by an interruption" in caplog.text
    folder.append(ROW | {"seed": 1})
    assert [row["seed"] for row in read_rows(folder.metrics)] == [0, 1]


def test_damaged_line_and_other_configuration_are_refused(tmp_path):
    folder = open_run(tmp_path, CONFIG, {})
    with pytest.raises(UserError, match=r"another configuration.*run_id"):
        open_run(tmp_path, CONFIG | {"seeds": [1]}, {})
    folder.metrics.write_text('{"method": "none"}\n')
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_rows(folder.metrics)


def test_run_id_depends_on_what_changes_numbers_only():
    name = run_id(CONFIG, "abc", "1")
    assert name == run_id(CONFIG | {"results": "elsewhere", "progress": False}, "abc", "1")
    others = [run_id(CONFIG | {"seeds": [1]}, "abc", "1"), run_id(CONFIG, "abd", "1")]
    assert name.startswith("none-") and name not in others


def test_restart_may_change_what_changes_no_number(tmp_path):
    open_run(tmp_path, CONFIG, {}).append(ROW)
    folder = open_run(tmp_path, CONFIG | {"progress": False, "results": "elsewhere"}, {})
    assert read_rows(folder.metrics) == [ROW]


def test_reading_leaves_a_torn_line_out_and_alone(tmp_path, caplog):
    folder = open_run(tmp_path, CONFIG, {})
    folder.append(ROW)
    with folder.metrics.open("a") as file:
        file.write('{"method": "no')
    before = folder.metrics.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert read_rows(folder.metrics) == [ROW]
    assert "left out its last line" in caplog.text
    assert folder.metrics.read_bytes() == before


def test_files_that_are_no_text(tmp_path):
    folder = open_run(tmp_path, CONFIG, {})
    folder.metrics.write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_rows(folder.metrics)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json is damaged.*remove the folder"):
        open_run(tmp_path, CONFIG, {})
