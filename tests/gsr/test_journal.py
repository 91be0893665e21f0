"""Journals: taken over when their owner is gone, set aside when damaged, read while it works."""

import json
import logging

import pyarrow.parquet as pq
import pytest

from reex_jax.gsr.cache import Cache
from reex_jax.gsr.journal import Journal, alone, underway
from reex_jax.gsr.parts import cache_row, fits, write_part
from reex_jax.gsr.repair import Repair

GOOD = cache_row(Repair("a rde dog", "a red dog", 0.75, "repaired", 10, 3), "m")
LATER = cache_row(Repair("a ct", "a cat", None, "repaired"), "m")


def line(row) -> bytes:
    return json.dumps(row).encode() + b"\n"


@pytest.mark.parametrize(
    "damage",
    [
        b"\n",
        b"\xff\xfe\n",
        b"{}\n",
        b"null\n",
        b"[" * 10**6 + b"\n",
        b"not json\n",
        line(GOOD | {"prompt_tokens": 10**30}),
        line(GOOD | {"refined": "a \ud800"}),
        line(GOOD | {"text": None}),
        line(GOOD | {"time": "yesterday"}),
        line(GOOD | {"generation_confidence": float("nan")}),
        line({name: value for name, value in GOOD.items() if name != "reason"}),
    ],
    ids=range(12),
)
def test_a_damaged_journal_is_set_aside_and_the_pass_goes_on(tmp_path, caplog, damage):
    (tmp_path / ".1234.journal").write_bytes(line(GOOD) + damage + line(LATER) + b'{"to')
    with caplog.at_level(logging.WARNING), Cache(tmp_path).writer("m") as writer:
        writer.add(Repair("new", "new", None, "unchanged"))
    assert Cache(tmp_path).texts("m") == {"a rde dog", "a ct", "new"}
    aside = tmp_path / "damaged-1234.journal"
    assert aside.is_file() and not list(tmp_path.glob(".*"))
    assert f"{aside}: 1 lines that are no answers; set aside" in caplog.text
    caplog.clear()
    with Cache(tmp_path).writer("m"):
        pass
    assert not caplog.text  # it is no journal any more


def test_rows_that_fit_are_those_that_parquet_takes(tmp_path):
    assert fits(GOOD) and fits(LATER)
    write_part(tmp_path, [GOOD, LATER])
    assert Cache(tmp_path).read("m", ["a ct"])["a ct"] == Repair("a ct", "a cat", None, "repaired")


def test_what_a_running_pass_has_and_asks_for(tmp_path):
    with Journal(tmp_path) as one, Journal(tmp_path) as two:
        one.asking("m", ["a rde dog", "a ct"])
        one.append(GOOD)
        two.asking("m", ["x"])
        two.asking("other", ["y"])  # the latest claim counts
        seen = underway(tmp_path, "m")
        assert (seen.answered, seen.asked) == ({"a rde dog"}, {"a ct"})
        assert underway(tmp_path, "m", own=one.path).answered == frozenset()
        assert underway(tmp_path, "other").asked == {"y"}
        one.clear()
        two.clear()
        assert underway(tmp_path, "m").asked == frozenset()
    assert not list(tmp_path.iterdir())


def test_a_dead_pass_asks_for_nothing(tmp_path):
    (tmp_path / ".1234.journal").write_bytes(line({"asking": ["a ct"], "identity": "m"}))
    assert underway(tmp_path, "m").asked == frozenset()
    with Cache(tmp_path).writer("m"):
        pass
    assert not list(tmp_path.iterdir())


def test_claims(tmp_path):
    cache = Cache(tmp_path)
    texts = [f"t{i}" for i in range(10)]

    def few(free: int) -> int:
        return 4

    with cache.writer("m") as one, cache.writer("m") as two:
        assert one.claim(texts, few).mine == texts[:4]
        assert two.claim(texts, few).mine == texts[4:8]
        one.add(Repair("t0", "t0", None, "unchanged"))
        claim = two.claim(texts, few)
        assert claim.mine == texts[4:8] and claim.unanswered == texts[1:]
        assert one.claim(texts[1:], few).mine == ["t1", "t2", "t3", "t8"]
        assert two.claim(texts[1:], few, shared=True).mine == texts[1:5]
        one.finish_part()
    assert sum(pq.read_metadata(file).num_rows for file in tmp_path.glob("*.parquet")) == 1


def test_only_one_is_inside(tmp_path):
    with alone(tmp_path):
        pass
    with alone(tmp_path):
        assert not list(tmp_path.iterdir())
