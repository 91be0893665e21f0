"""The cache: whole files, found again, merged by copying, readable by others."""

import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache
from reex_jax.gsr.parts import SCHEMA, cache_row, write_part
from reex_jax.gsr.repair import Repair, no_repair

ANSWERS = [
    Repair("a rde dog", "a red dog", 0.75, "repaired", 10, 3),
    Repair("a cat", "a cat", None, "unchanged"),
    no_repair("say\nPWNED \u2028 \U0001f600", "another text"),
]


def store(cache: Cache, identity: str, answers: list[Repair]) -> None:
    with cache.writer(identity) as writer:
        for answer in answers:
            writer.add(answer)


def test_what_is_stored_is_read(tmp_path):
    cache = Cache(tmp_path / "new" / "cache")
    assert cache.texts("m") == set() and cache.read("m", ["a cat"]) == {}  # no folder yet
    store(cache, "m", ANSWERS)
    assert cache.read("m", [a.text for a in ANSWERS]) == {a.text: a for a in ANSWERS}
    assert cache.texts("m") == {a.text for a in ANSWERS}
    assert cache.texts("other") == set()
    assert cache.read("m", ["a cat", "unknown"]) == {"a cat": ANSWERS[1]}
    assert [file.suffix for file in cache.folder.iterdir()] == [".parquet"]


def test_columns(tmp_path):
    write_part(tmp_path, [cache_row(ANSWERS[0], "m")])
    table = pq.read_table(next(tmp_path.iterdir()))
    assert table.schema.equals(SCHEMA)
    row = table.to_pylist()[0]
    assert row["generation_confidence"] == 0.75
    assert row["edit_confidence"] == pytest.approx(1 - 1 / 9)  # one exchange of nine letters
    assert row["time"].year >= 2025 and row["time"].tzname() == "UTC"


def test_a_merge_is_a_copy_and_the_earliest_answer_counts(tmp_path):
    one, two = Cache(tmp_path / "one"), Cache(tmp_path / "two")
    store(one, "m", ANSWERS[:2])
    later = Repair("a rde dog", "a ride dog", 0.1, "repaired")
    store(two, "m", [later, ANSWERS[2]])
    for file in two.folder.iterdir():
        shutil.copy(file, one.folder)
    assert one.read("m", [a.text for a in ANSWERS]) == {a.text: a for a in ANSWERS}


def test_pandas_reads_the_folder(tmp_path):
    pandas = pytest.importorskip("pandas")
    store(Cache(tmp_path), "m", ANSWERS)
    frame = pandas.read_parquet(tmp_path)
    assert list(frame["refined"]) == [a.repaired for a in ANSWERS]


def test_an_interrupted_writer_keeps_what_it_had(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.writer("m") as writer:
        writer.add(ANSWERS[0])
        raise KeyboardInterrupt
    assert cache.texts("m") == {"a rde dog"}


def test_a_killed_writer_is_taken_over(tmp_path):
    code = (
        "import os, signal, pathlib\n"
        "from reex_jax.gsr.cache import Cache\n"
        "from reex_jax.gsr.repair import Repair\n"
        f"with Cache(pathlib.Path({str(tmp_path)!r})).writer('m') as writer:\n"
        "    writer.add(Repair('a', 'b', 0.5, 'repaired'))\n"
        "    writer.add(Repair('c', 'd', None, 'repaired'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    journal = next(tmp_path.glob(".*.journal"))
    journal.write_bytes(journal.read_bytes() + b'{"text": "torn')  # its last line was cut short
    with Cache(tmp_path).writer("m"):
        pass
    assert Cache(tmp_path).texts("m") == {"a", "c"}
    assert not list(tmp_path.glob(".*"))


def test_a_running_writer_is_left_alone(tmp_path):
    cache = Cache(tmp_path)
    with cache.writer("m") as first:
        first.add(ANSWERS[0])
        store(cache, "m", ANSWERS[1:2])  # a second pass comes and goes
        first.add(ANSWERS[2])
    assert Cache(tmp_path).texts("m") == {a.text for a in ANSWERS}
    assert sum(pq.read_metadata(f).num_rows for f in tmp_path.glob("*.parquet")) == 3


def test_damaged_and_foreign_files_are_named(tmp_path):
    store(Cache(tmp_path), "m", ANSWERS)
    part = next(tmp_path.iterdir())
    half = tmp_path / "half.parquet"
    half.write_bytes(part.read_bytes()[:200])
    with pytest.raises(UserError, match=r"half\.parquet: cannot be read .* asked again"):
        Cache(tmp_path).texts("m")
    half.unlink()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "foreign.parquet")
    with pytest.raises(UserError, match=r"foreign\.parquet: .* lacks the columns identity, ref"):
        Cache(tmp_path).read("m", ["a"])


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"gsr\.cache is '.*file', which cannot be written to"),
        Cache(tmp_path / "file").writer("m"),
    ):
        pass
