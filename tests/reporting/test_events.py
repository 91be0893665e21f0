"""What TensorBoard shows of a run."""

import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from reex_jax.reporting.events import write_events

ROW = {
    "method": "none",
    "direction": "image_to_text",
    "corruption": "contrast",
    "severity": 5,
    "seed": 2,
    "recall@1": 50.0,
    "recall@5": 60.0,
    "recall@10": 70.0,
    "mAP": 40.0,
    "median_rank": 2.0,
    "loss": 0.5,
    "confident": 0.75,
    "skipped": 3,
    "queries_per_s": 100.0,
    "step_ms": 20.0,
}


def scalars(folder):
    """(tag, step) -> value of the one events file; records are length, crc, data, crc."""
    (file,) = (folder / "events").iterdir()
    content, found = file.read_bytes(), {}
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
        content = content[16 + length :]
    return found


def test_every_stream_is_a_curve_over_severities(tmp_path, caplog):
    write_events(tmp_path, [ROW, ROW | {"severity": 3, "recall@1": 55.0}])
    found = scalars(tmp_path)
    stream = "none/image_to_text/contrast/seed2"
    assert found[f"{stream}/recall_at_1", 5] == 50.0
    assert found[f"{stream}/recall_at_1", 3] == 55.0
    assert found[f"{stream}/step_ms", 5] == 20.0
    assert found[f"{stream}/skipped", 3] == 3.0
    assert len(found) == 2 * 10
    assert "illegal" not in caplog.text


def test_methods_have_curves_of_their_own(tmp_path):
    write_events(tmp_path, [ROW, ROW | {"method": "tent", "recall@1": 55.0}])
    found = scalars(tmp_path)
    assert found["none/image_to_text/contrast/seed2/recall_at_1", 5] == 50.0
    assert found["tent/image_to_text/contrast/seed2/recall_at_1", 5] == 55.0


def test_a_restarted_run_has_its_curves_once(tmp_path):
    write_events(tmp_path, [ROW])
    write_events(tmp_path, [ROW, ROW | {"seed": 3}])
    assert len(scalars(tmp_path)) == 2 * 10  # of the one file that is left


def test_a_loss_that_was_never_finite_is_left_out(tmp_path):
    write_events(tmp_path, [ROW | {"loss": None, "confident": None}])
    names = {tag.rpartition("/")[2] for tag, _ in scalars(tmp_path)}
    assert len(names) == 8 and not names & {"loss", "confident"}


def test_a_row_without_a_metric_is_a_mistake(tmp_path):
    with pytest.raises(KeyError, match="mAP"):
        write_events(tmp_path, [{key: value for key, value in ROW.items() if key != "mAP"}])
