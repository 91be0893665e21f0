"""The offline pass: what it counts, and that it survives everything."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reex_jax import progress
from reex_jax.errors import UserError
from reex_jax.gsr import offline, parts
from reex_jax.gsr.cache import Cache
from reex_jax.gsr.offline import run_pass
from reex_jax.gsr.repair import Repair, accepted, no_repair

ROOT = Path(__file__).parents[2]
EXPERIMENT = "experiments/scenes_c.py"


class Fake:
    """Answers by the first letter of a text; keeps what it was asked."""

    identity = "fake"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        for text in texts:
            self.asked.append(text)
            yield {
                "r": accepted(text, text + "!", 0.95, (10, 2)),
                "u": accepted(text, text, 1.0),
                "n": accepted(text, text + "!", None),
                "x": no_repair(text, "refusal"),
                "f": no_repair(text, "failed: HTTP 500"),
            }[text[0]]


def test_counts_and_summary(tmp_path):
    texts = ["r1", "r2", "u1", "n1", "x1", "f1", "r1"]
    summary = run_pass(Fake(), tmp_path, texts, progress=False)
    assert summary.reasons == {"repaired": 3, "unchanged": 1, "refusal": 1, "failed": 1}
    first, histogram, without, tokens = summary.lines(1000, 5000)
    assert first.startswith(
        "0 in the cache before; asked 6: 3 repaired, 1 unchanged, 1 replies not used (refusal 1), "
        "1 failed; "
    )
    assert histogram.endswith("0.8: 0  0.9: 2") and without == "repairs without confidence: 1"
    assert tokens == "tokens: 20 read, 4 written, cost 0.0400"
    fake = Fake()
    again = run_pass(fake, tmp_path, texts, progress=False)
    assert fake.asked == ["f1"] and again.cached == 5


def test_parts_and_two_passes_that_share_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(offline, "PART_ROWS", 10)
    texts = [f"r{i}" for i in range(200)]
    fakes = [Fake(), Fake()]
    threads = [
        threading.Thread(target=run_pass, args=(fake, tmp_path, texts), kwargs={"progress": False})
        for fake in fakes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = Cache(tmp_path).read("fake", texts)
    assert answers == {text: accepted(text, text + "!", 0.95, (10, 2)) for text in texts}
    assert set(fakes[0].asked) | set(fakes[1].asked) == set(texts)
    assert run_pass(Fake(), tmp_path, texts, progress=False).asked == 0
    assert not list(tmp_path.glob(".*"))


def test_after_a_resume_totals_cover_the_whole(tmp_path):
    run_pass(Fake(), tmp_path, ["r1", "u1", "x1"], progress=False)
    first, whole, histogram, tokens = run_pass(
        Fake(), tmp_path, ["r1", "r2", "u1", "x1"], progress=False
    ).lines()
    assert first.startswith("3 in the cache before; asked 1: 1 repaired, 0 unchanged, 0 replies")
    assert whole == ("all 4 in the cache: 2 repaired, 1 unchanged, 1 replies not used (refusal 1)")
    assert histogram.endswith("0.9: 2") and tokens == "tokens: 20 read, 4 written"


def test_passes_at_once_ask_for_nothing_twice(tmp_path):
    """Also few texts, far below a part's rows, are shared."""

    class Slow(Fake):
        def rewrite(self, texts):
            for repair in super().rewrite(texts):
                time.sleep(0.005)
                yield repair

    texts = [f"r{i}" for i in range(200)]
    slow = [Slow(), Slow(), Slow()]
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda one: run_pass(one, tmp_path, texts, progress=False), slow))
    assert sorted(text for one in slow for text in one.asked) == sorted(texts)
    # On a busy machine one may start late; nobody may take what others could do.
    assert sum(len(one.asked) > 20 for one in slow) >= 2
    assert all(one.asked + one.cached == len(texts) for one in done)
    # Those that end first may count before the last one's answers are filed.
    assert max(one.whole.asked for one in done) == len(texts)


def test_what_another_pass_failed_at_is_asked_again(tmp_path):
    with Cache(tmp_path).writer("fake") as other:
        other.claim(["r1"], lambda free: 1)
        found = []
        waiting = threading.Thread(
            target=lambda: found.append(run_pass(Fake(), tmp_path, ["r1"], progress=False))
        )
        waiting.start()
        time.sleep(0.2)
        assert not found  # it waits for the other's answer
        other.finish_part()
        waiting.join(5)
    assert found[0].asked == 1


def test_a_pass_that_is_stuck_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(offline, "_PATIENCE_S", 0.2)
    with Cache(tmp_path).writer("fake") as stuck:
        stuck.claim(["r1", "r2"], lambda free: 2)
        assert run_pass(Fake(), tmp_path, ["r1", "r2"], progress=False).asked == 2


def test_a_disk_that_is_full_is_one_message(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot be written to .*No space left"):
        run_pass(Fake(), tmp_path, ["r1"], progress=False)
    monkeypatch.undo()
    assert [file.suffix for file in tmp_path.iterdir()] == [".journal"]
    assert run_pass(Fake(), tmp_path, ["r1"], progress=False).cached == 1  # it was not lost


def test_lines_where_there_is_no_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    run_pass(Fake(), tmp_path, ["r1", "r2"])
    assert capsys.readouterr().err.startswith("repairs: 1 of 2 (")


def test_failures_in_a_row_end_the_pass(tmp_path):
    with pytest.raises(
        UserError, match=r"20 queries in a row failed.*the answers until then are in"
    ):
        run_pass(Fake(), tmp_path, [f"f{i}" for i in range(50)], progress=False)


def command(cache: Path, *options: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable, "-m", "reex_jax.gsr", f"--config={EXPERIMENT}", "--config.runlocal",
            "--config.data.num_images=20",
            f"--config.gsr.cache={cache}", "--noconfig.progress", *options,
        ],
        cwd=ROOT, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def openai(stub) -> list[str]:
    return [
        "--config.gsr.rewriter=openai",
        "--config.gsr.model=tiny",
        f"--config.gsr.base_url={stub.url}",
        "--config.gsr.concurrency=4",
    ]


def test_kill_9_loses_nothing_and_asks_nothing_twice(stub, tmp_path):
    for enough in (30, 90):
        killed = threading.Event()

        def behave(number, request, enough=enough, killed=killed):
            if number >= enough:  # no further answer, so that it cannot finish before it is killed
                killed.wait(30)
            return stub.answer(request)

        stub.behave = behave
        process = command(tmp_path, *openai(stub))
        while len(stub.requests) <= enough and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.set()
        assert process.returncode == -9
    stub.behave = lambda number, request: stub.answer(request)
    asked_until_then = len(stub.requests)
    output, errors = command(tmp_path, *openai(stub)).communicate()
    assert "0 failed" in output, errors
    asked = stub.asked()
    identity = "openai model=tiny prompt=1 temperature=0 samples=1 max_tokens=128"
    assert Cache(tmp_path).texts(identity) == set(asked) and len(asked) == 200
    # Only what was on its way when the process died is asked again: 4 at a time, killed twice.
    assert len(stub.requests) - len(asked) <= 2 * 4
    assert len(stub.requests) > asked_until_then
    rows = sum(pq.read_metadata(file).num_rows for file in tmp_path.glob("*.parquet"))
    assert rows == len(asked)  # nor does any answer stand there twice
    assert not list(tmp_path.glob(".*.journal"))


def test_two_commands_at_once(stub, tmp_path):
    processes = [command(tmp_path, *openai(stub)) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert set(stub.asked().values()) == {1}  # none was asked for twice
    output, _ = command(tmp_path, *openai(stub)).communicate()
    assert f"{len(stub.asked())} in the cache before; asked 0" in output


def test_the_command_needs_no_jax(tmp_path):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['gsr', '--config={EXPERIMENT}', '--config.runlocal', "
        f"'--config.gsr.rewriter=symspell', '--config.gsr.cache={tmp_path}']\n"
        "try:\n"
        "    runpy.run_module('reex_jax.gsr', run_name='__main__')\n"
        "finally:\n"
        "    heavy = {'jax', 'jaxlib', 'flax', 'torch', 'tensorflow', 'transformers'}\n"
        "    print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "loaded: []" in done.stdout
    assert " repaired, " in done.stdout and list(tmp_path.glob("*.parquet"))
