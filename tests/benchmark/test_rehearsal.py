"""No program is compiled in mid-stream: not at ragged ends, and not for longer texts."""

import pytest

from reex_jax.benchmark import evaluate
from reex_jax.benchmark.compiling import Compilations
from reex_jax.benchmark.run import run_benchmark


def late_programs(rows):
    return {(row["direction"], row["corruption"]): row["late_programs"] for row in rows}


def test_nothing_is_compiled_after_the_first_batch(small_config, numbers, tmp_path, monkeypatch):
    """Batches of 8, the last of one query; captions of 16 and of 32 tokens."""
    changes = {"method": ("tent",), "max_queries": 9, "corruptions": {"image": (), "text": ()}}
    _, rows = run_benchmark(small_config(tmp_path / "rehearsed", **changes))
    assert set(late_programs(rows).values()) == {0}
    assert rows[0]["compile_s"] > 0

    # The same without rehearsal does compile later on, or this test could not fail.
    monkeypatch.setattr(evaluate, "rehearsed", lambda adapter, batches, *_, **__: batches)
    _, others = run_benchmark(small_config(tmp_path / "unprepared", **changes))
    late = late_programs(others)
    assert late["image_to_text", "clean"] > 0 and late["text_to_image", "clean"] > 0
    for row, other in zip(numbers(rows), numbers(others), strict=True):
        assert row == other | {"late_programs": 0}  # no number changes


def test_stages_inside_each_other_count_once():
    found = Compilations(spans=[(5.0, 6.0), (1.0, 4.0), (2.0, 3.0), (3.5, 4.5)])
    assert found.seconds == pytest.approx(4.5)
    assert Compilations().seconds == 0
