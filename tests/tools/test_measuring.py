"""What benchmarks of the update step share, and `benchmarks.streams` and `step_parts` at work."""

import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.measuring import alternate, matrix_peak, table, write_rows
from benchmarks.step_parts import bare_encoder


def test_a_run_that_fails_leaves_the_others_their_turns():
    calls = {"ours": 0, "late": 0}

    def ours():
        calls["ours"] += 1

    def late():
        calls["late"] += 1
        if calls["late"] == 4:  # two warm up, one is measured
            raise ValueError("no memory\nmore lines")

    def never():
        raise RuntimeError

    times, failed = alternate({"ours": ours, "late": late, "never": never}, 5)
    assert {name: len(own) for name, own in times.items()} == {"ours": 5}
    assert failed == {"never": "RuntimeError: ", "late": "ValueError: no memory"}
    assert calls == {"ours": 7, "late": 4}
    with pytest.raises(RuntimeError):
        alternate({"never": never, "ours": ours}, 1)


def test_rows_are_written_as_they_come(tmp_path, capsys):
    out = tmp_path / "rows.json"

    def rows():
        yield {"streams": 1, "round_ms": 1.26, "peak_share": 0.257}
        assert len(json.loads(out.read_text())["rows"]) == 1
        yield {"streams": 2, "failed": "OSError: full"}

    write_rows(rows(), {"device": "none"}, out)
    found = json.loads(out.read_text())
    assert found["device"] == "none" and len(found["rows"]) == 2
    assert "| 1 | 1.3 | 26 % |  |" in capsys.readouterr().out
    assert table([{"speed_up_ratio": None}]).splitlines()[2] == "|  |"


def test_the_encoder_without_a_tower_gives_unit_rows_and_the_source_as_it_is():
    rows = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    encoder = bare_encoder(8)
    np.testing.assert_allclose(
        encoder.embed(encoder.parameters, None, jnp.asarray(rows)), rows, atol=1e-6
    )
    other = {"scale": 2 * jnp.ones(8), "bias": jnp.ones(8)}
    moved = encoder.embed(other, None, jnp.asarray(rows))
    expected = 2 * rows + 1
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_the_peak_is_a_rate():
    assert 1e8 < matrix_peak(np.float32, tiny=True) < 1e15


@pytest.mark.slow
@pytest.mark.parametrize(
    "command, columns",
    [
        (["streams", "--counts", "1", "2"], {"round_ms", "queries_per_s", "peak_share"}),
        (["streams", "--weak", "1", "2"], {"step_ms", "efficiency_share"}),
        (["step_parts", "--queries", "text", "--methods", "none", "reex"], {"own_share"}),
    ],
)
def test_the_commands_run(command, columns, tmp_path):
    out = tmp_path / "rows.json"
    full = [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:]]
    subprocess.run([*full, "--tiny", "--repeats", "1", "--out", str(out)], check=True)
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 2
    for row in rows:
        assert "failed" not in row and columns <= set(row)
