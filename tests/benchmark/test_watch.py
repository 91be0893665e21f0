"""What a run keeps beside its numbers agrees with them, and changes none of them."""

import json
import sys
import types

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from reex_jax.benchmark.run import run_benchmark
from reex_jax.errors import UserError
from reex_jax.reporting.details import load_details
from reex_jax.reporting.example_lines import read_examples
from reex_jax.reporting.live import check_wandb

RANKINGS = {"plain": "", "calibrated": "calibrated_"}


class FakeRun:
    def __init__(self):
        self.logged, self.finished = [], False

    def log(self, values):
        self.logged.append(values)

    def finish(self):
        self.finished = True


@pytest.fixture(scope="module")
def wandb():
    module = types.ModuleType("wandb")
    module.runs, module.given = [], []

    def init(**given):
        module.given.append(given)
        module.runs.append(FakeRun())
        return module.runs[-1]

    module.init = init
    module.__spec__ = types.SimpleNamespace(name="wandb")
    return module


@pytest.fixture(scope="module")
def finished(small_config, tmp_path_factory, wandb):
    """A run of a method that learns, with everything kept."""
    config = small_config(
        tmp_path_factory.mktemp("watched"),
        method=("tent",),
        record={"wandb": True, "examples": 4, "clean_queries": 5},
        corruptions={"image": ("gaussian_noise",), "text": ("keyboard", "formal")}
        | {"sentences": "rules"},
        seeds=(3, 1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wandb", wandb)
        return run_benchmark(config)


def details_of(folder, row):
    found = load_details(folder.details(row))
    assert found is not None
    return found.arrays


def test_details_agree_with_the_numbers(finished):
    folder, rows = finished
    for row in rows:
        kept, count = details_of(folder, row), row["num_queries"]
        batches = -(-count // 8)
        assert kept["end"].tolist() == [min(8 * (n + 1), count) for n in range(batches)]
        assert kept["loss"].mean() == pytest.approx(row["loss"], rel=1e-5)
        assert kept["confident"].mean() == pytest.approx(row["confident"], rel=1e-5)
        assert kept["distance"][0] > 0 and (np.diff(kept["seconds"]) > 0).all()
        for ranking, prefix in RANKINGS.items():
            recall = row[f"{prefix}recall@1"]
            assert 100 * kept[f"hits_{ranking}"].sum() / count == pytest.approx(recall)
            assert kept[f"recall_{ranking}"][-1] == pytest.approx(recall, rel=1e-5)
            hubs = kept[f"hubs1_{ranking}"]
            assert hubs.shape == (row["gallery_size"],) and hubs.sum() == count
            assert kept[f"hubs10_{ranking}"].sum() == 10 * count
            assert kept[f"distinct_{ranking}"][-1] == (hubs > 0).sum()
            bins = kept[f"reliability_{ranking}"]
            assert bins[:, 0].sum() == count
            assert 100 * bins[:, 2].sum() / count == pytest.approx(recall)
            assert (bins[:, 1] <= bins[:, 0]).all()


def test_examples_are_those_of_the_first_seed(finished):
    folder, rows = finished
    for row in rows:
        kept = details_of(folder, row)
        number = 4 if row["seed"] == 3 else 0
        assert len(kept["examples"]) == number
        for ranking in RANKINGS:
            ranks = np.load(folder.ranks(row, ranking))
            own = kept[f"example_rank_{ranking}"]
            np.testing.assert_array_equal(own, ranks[kept["examples"]])
            lines = read_examples(folder.path / "examples" / f"{row['direction']}.queries.jsonl")
            answers = {line["key"].rpartition("/")[2]: line["answers"] for line in lines}
            for position, items, rank in zip(
                kept["examples"], kept[f"example_items_{ranking}"], own, strict=True
            ):
                found = np.flatnonzero(np.isin(items, answers[str(position)]))
                assert (found[0] if len(found) else 10) == min(rank, 10)
    for direction, kinds in (("image_to_text", 2), ("text_to_image", 3)):
        lines = read_examples(folder.path / "examples" / f"{direction}.queries.jsonl")
        assert len(lines) == 4 * kinds
        items = read_examples(folder.path / "examples" / f"{direction}.items.jsonl")
        assert {str(a) for line in lines for a in line["answers"]} <= {i["key"] for i in items}


def test_clean_queries_are_asked_at_the_beginning_and_the_end(finished):
    folder, rows = finished
    for row in rows:
        kept = details_of(folder, row)
        if row["seed"] == 3:
            assert kept["clean_at"][0] == 0 and kept["clean_at"][-1] == row["num_queries"]
        else:
            assert "clean_at" not in kept or not len(kept["clean_at"])
    starts = {
        row["direction"]: details_of(folder, row)["clean_plain"][0]
        for row in rows
        if row["seed"] == 3
    }
    assert set(starts) == {"image_to_text", "text_to_image"}
    assert all(0 <= start <= 100 for start in starts.values())


def events_of(folder):
    """(name, step) -> value of the one events file; records are length, crc, data, crc."""
    (file,) = folder.iterdir()
    content, found = file.read_bytes(), {}
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
        content = content[16 + length :]
    return found


def test_curves_have_a_point_for_each_batch(finished, wandb):
    folder, rows = finished
    shown = {"loss", "confident", "distance", "distinct_plain", "recall_plain", "queries_per_s"}
    shown |= {"distinct_calibrated", "recall_calibrated", "skipped", "restored"}
    (run,) = wandb.runs
    assert run.finished and wandb.given[0]["name"] == folder.path.name
    for row in rows:
        kept = details_of(folder, row)
        name = f"tent/{row['direction']}/{row['corruption']}/{row['severity']}/{row['seed']}"
        stream = types.SimpleNamespace(**{k: row[k] for k in ("direction", "corruption")})
        vars(stream).update(severity=row["severity"], seed=row["seed"])
        points = events_of(folder.curves("tent", stream))
        logged = {w[f"{name}/queries"]: w for w in run.logged if f"{name}/queries" in w}
        assert list(logged) == kept["end"].tolist()
        for number, end in enumerate(kept["end"].tolist()):
            assert shown <= {tag for tag, step in points if step == end}
            assert points["loss", end] == pytest.approx(kept["loss"][number])
            assert points["recall_plain", end] == pytest.approx(kept["recall_plain"][number])
            assert logged[end][f"{name}/loss"] == pytest.approx(kept["loss"][number])


def test_looking_on_changes_no_number(finished, small_config, numbers, tmp_path):
    _, rows = finished
    config = small_config(tmp_path, method=("tent",), seeds=(3,), record={"details": False})
    folder, alone = run_benchmark(config)
    keys = [(row["direction"], row["corruption"]) for row in alone]
    beside = [r for r in rows if r["seed"] == 3 and (r["direction"], r["corruption"]) in keys]
    assert numbers(alone) == numbers(beside)
    assert not (folder.path / "details").exists() and not (folder.path / "examples").exists()


def test_what_is_missing_or_damaged(tmp_path):
    assert load_details(tmp_path / "none.npz") is None
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match=r"half\.npz: cannot be read"):
        load_details(tmp_path / "half.npz")
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"key": "a"}) + '\n[1]\n{"key": 3}\n{"key": "b", "x')
    assert read_examples(lines) == [{"key": "a"}]
    assert read_examples(tmp_path / "none.jsonl") == []


def test_weights_and_biases_must_be_there(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_wandb(False)
    with pytest.raises(UserError, match="Weights & Biases is not installed; install it with"):
        check_wandb(True)
