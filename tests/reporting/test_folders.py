"""Results folders that cannot be used: each ends with a message, and none is written into."""

import subprocess
import sys

import pytest

from reex_jax.errors import UserError
from reex_jax.reporting.run_folder import RunFolder, alone_in, open_run

IDENTITY = {"settings": {}}


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the results folder cannot be made"):
        open_run(tmp_path / "file" / "run", {}, {}, IDENTITY)
    with pytest.raises(UserError, match=r"the results folder cannot be made .File name too long"):
        open_run(tmp_path / ("x" * 300), {}, {}, IDENTITY)


def test_results_of_an_unknown_configuration_are_not_adopted(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"holds results but no config\.json"):
        open_run(tmp_path, {}, {}, IDENTITY)
    assert not (tmp_path / "config.json").exists()


def test_a_folder_is_made_by_one_run_at_a_time(tmp_path):
    with alone_in(RunFolder(tmp_path)), pytest.raises(UserError, match="another run is measuring"):
        open_run(tmp_path, {}, {}, IDENTITY)
    assert open_run(tmp_path, {}, {}, IDENTITY).config() == {}


def test_a_row_that_another_run_is_writing_stays_whole(tmp_path):
    """It opens the file, writes a half, and a second run starts before the other half."""
    folder = open_run(tmp_path, {}, {}, IDENTITY)
    with alone_in(folder), folder.metrics.open("a") as file:
        file.write('{"a": ')
        file.flush()
        again = open_run(tmp_path, {}, {}, IDENTITY)
        with pytest.raises(UserError, match="another run is measuring"), alone_in(again):
            pass
        file.write("1}\n")
    assert folder.metrics.read_text() == '{"a": 1}\n'


def test_nested_json_is_damage(tmp_path):
    open_run(tmp_path, {}, {}, IDENTITY)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"config.json is damaged"):
        open_run(tmp_path, {}, {}, IDENTITY)


HOLD = """
import sys, time
from pathlib import Path
from reex_jax.reporting.run_folder import RunFolder, alone_in
with alone_in(RunFolder(Path(sys.argv[1]))):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_kept_out_and_a_killed_one_leaves_no_lock(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline() == b"in\n"
        with (
            pytest.raises(UserError, match="another run is measuring there"),
            alone_in(RunFolder(tmp_path)),
        ):
            pass
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    with alone_in(RunFolder(tmp_path)):
        pass
