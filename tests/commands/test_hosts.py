"""The command `run` in two processes, as on two hosts; one of them may end too early."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reex_jax.reporting.rows import read_rows

ROOT = Path(__file__).parents[2]
KINDS = ("ocr", "swap")
SMALL = [f"--config.corruptions.text={kind}" for kind in KINDS]
SMALL += ["--config.data.num_images=40", "--config.directions=text_to_image"]
SMALL += ["--config.method=tent", "--config.batch_size=16", "--config.progress=False"]
TIMINGS = {"queries_per_s", "step_ms", "compile_s", "peak_memory_mb"}


def start(
    results: Path, *arguments: str, processes: int = 2, split: bool = True
) -> list[subprocess.Popen[str]]:
    """The same command in each process; all that only the first may do goes to `results`.

    Several `split` the gallery, too.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    # One device each; compiled as fast as in all tests.
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    running = []
    for index in range(processes):
        # The others may not write results, as if their folder were on no disk.
        folder = results if index == 0 else Path(os.devnull) / "nowhere"
        shared = [
            f"--config.machine.{name}={value}"
            for name, value in (
                ("coordinator", f"127.0.0.1:{port}"),
                ("processes", processes),
                ("process", index),
            )
        ]
        command = [sys.executable, "-m", "reex_jax.main", "--config=experiments/scenes_c.py"]
        shared += ["--config.gallery.layout=split"] * split
        command += [f"--config.results={folder}", *arguments, *(shared if processes > 1 else [])]
        running.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return running


def ended(running: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, output and errors of each."""
    try:
        texts = [one.communicate(timeout=240) for one in running]
    finally:
        for one in running:
            one.kill()
    return [(one.returncode, *text) for one, text in zip(running, texts, strict=True)]


def test_a_run_goes_on_after_one_of_two_processes_was_killed(tmp_path):
    small = [*SMALL, "--config.adapt.stream=continual"]
    running = start(tmp_path, *small)
    first, second = running
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("*/*/metrics.jsonl")):
        assert time.monotonic() < deadline and first.poll() is None, ended(running)
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    (status, output, errors), _ = ended(running)
    assert status == 1, (output, errors)
    assert "process 0 of 2 stops, because another one has ended or cannot be reached" in errors
    assert "the same command on every host goes on from there" in errors
    assert "Traceback" not in errors
    (metrics,) = tmp_path.glob("*/*/metrics.jsonl")
    done = read_rows(metrics)
    assert 1 <= len(done) < 1 + len(KINDS)

    (status, output, errors), (status1, output1, _) = ended(start(tmp_path, *small))
    assert status == 0 and status1 == 0, errors
    assert f"{len(done)} of {1 + len(KINDS)} streams were measured before" in output
    assert "R@1" in output and "R@1" not in output1  # the first process alone reports
    rows = read_rows(metrics)
    assert rows[: len(done)] == done and len(rows) == 1 + len(KINDS)
    check_alone(tmp_path / "alone", small, metrics)


def check_alone(results: Path, arguments: list[str], metrics: Path) -> None:
    """One process writes the same rows and ranks into a folder of the same name."""
    ((status, _, errors),) = ended(start(results, *arguments, processes=1))
    assert status == 0, errors
    (other,) = results.glob("*/*/metrics.jsonl")
    assert other.parent.name == metrics.parent.name  # results of the same run
    for row, expected in zip(read_rows(metrics), read_rows(other), strict=True):
        for name in expected.keys() - TIMINGS:
            number = isinstance(expected[name], float)
            wanted = pytest.approx(expected[name], rel=1e-5) if number else expected[name]
            assert row[name] == wanted, name
    for file in metrics.parent.glob("ranks/*.npy"):
        np.testing.assert_array_equal(np.load(file), np.load(other.parent / "ranks" / file.name))


@pytest.mark.slow
def test_processes_take_streams_of_their_own(tmp_path):
    """Three streams: two are the first process's, which writes all."""
    arguments = [*SMALL, "--config.adapt.layout=streams"]
    (status, output, errors), (status1, *_) = ended(start(tmp_path, *arguments, split=False))
    assert status == 0 and status1 == 0, errors
    assert "R@1" in output
    (metrics,) = tmp_path.glob("*/*/metrics.jsonl")
    assert [row["corruption"] for row in read_rows(metrics)] == ["clean", *KINDS]
    check_alone(tmp_path / "alone", arguments, metrics)
