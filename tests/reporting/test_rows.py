"""Lines of metrics.jsonl: what is read, and what is named as damaged."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.errors import UserError
from reex_jax.reporting.rows import by_ranking, read_rows

ROW = {
    "method": "none",
    "direction": "image_to_text",
    "corruption": "clean",
    "severity": 0,
    "seed": 0,
    "recall@1": 50.0,
    "calibrated_recall@1": 60.0,
    "loss": None,
}


@pytest.fixture
def metrics(tmp_path):
    return tmp_path / "metrics.jsonl"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 2 is damaged .it holds no object"),
        ("{}", "line 2 is damaged .it lacks 'method'"),
        ("[" * 100_000, "line 2 is damaged"),
        (json.dumps({k: v for k, v in ROW.items() if k != "recall@1"}), "it lacks 'recall@1'"),
        (json.dumps(ROW | {"recall@1": "50"}), "recall@1 is '50', no number"),
        (json.dumps(ROW | {"recall@1": float("nan")}), "recall@1 is nan"),
        (json.dumps(ROW | {"recall@1": None}), "recall@1 is None, no number"),
        (json.dumps(ROW | {"step_ms": [1]}), r"step_ms is \[1\], no number"),
        (json.dumps(ROW | {"seed": "0"}), "seed is '0'"),
        (json.dumps(ROW | {"method": 1}), "method is 1"),
    ],
)
def test_a_damaged_line_is_named(metrics, line, message):
    metrics.write_text(json.dumps(ROW) + "\n" + line + "\n")
    with pytest.raises(UserError, match=message):
        read_rows(metrics)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
VALUES = SCALARS | st.lists(SCALARS, max_size=2)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*ROW, "more"]), VALUES), st.booleans())
def test_whatever_stands_there_is_read_or_named(tmp_path_factory, changes, whole):
    file = tmp_path_factory.mktemp("rows") / "metrics.jsonl"
    file.write_text(json.dumps((ROW if whole else {}) | changes) + "\n")
    try:
        assert len(read_rows(file)) == 1
    except UserError as error:
        assert "line 1 is damaged" in str(error)


def test_a_row_has_its_calibrated_ranking_behind_it():
    plain, calibrated = by_ranking([ROW])
    assert plain == ROW
    assert (calibrated["method"], calibrated["recall@1"]) == ("none, calibrated", 60.0)
    assert by_ranking([{k: v for k, v in ROW.items() if k != "calibrated_recall@1"}])[1:] == []
