"""Serving an index: what is refused before anything loads, and a whole life of the process."""

import importlib
import os
import re
import signal
import subprocess
import sys
import time

import httpx2
import pytest

from reex_jax.commands.list import SERVE
from reex_jax.commands.serve import load_parts, serve
from reex_jax.commands.start import read_arguments
from reex_jax.datasets.scenes import SceneImages
from reex_jax.errors import UserError
from reex_jax.service.run import address_of, bound_socket
from reex_jax.settings.service import Service


def test_the_command_line_becomes_settings():
    arguments = read_arguments(
        SERVE, ["--index=demo", "--serve.port=0", "--serve.limits.k=7", "--serve.gsr.rewriter="]
    )
    settings = arguments.settings
    assert (settings.port, settings.limits.k, settings.gsr.rewriter) == (0, 7, "")
    with pytest.raises(UserError, match="--index is missing"):
        read_arguments(SERVE, [])
    with pytest.raises(UserError, match=r"serve\.limits\.queue"):
        read_arguments(SERVE, ["--index=demo", "--serve.limits.quue=7"])


def test_an_address_that_is_taken_is_refused():
    with bound_socket("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        assert address_of(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=r"serve\.port"):
            bound_socket("127.0.0.1", port)
    with pytest.raises(UserError, match=r"serve\.host"):
        bound_socket("192.0.2.1", 0)


def test_a_back_end_that_is_not_installed_is_refused_first(tmp_path, monkeypatch):
    found = importlib.import_module

    def without(name):
        if name.startswith("reex_jax."):
            return found(name)
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", without)
    nothing = f"--index={tmp_path / 'nothing'}"
    for backend in ("usearch", "faiss", "qdrant"):
        options = [nothing, "--serve.port=0", f"--serve.search.backend={backend}"]
        with pytest.raises(UserError, match=r"pip install 'reex_jax\[search\]'"):
            serve(read_arguments(SERVE, options))
    with pytest.raises(UserError, match=r"serve\.search\.backend"):
        read_arguments(SERVE, [nothing, "--serve.search.backend=usaerch"])


def test_no_index_is_refused(tmp_path):
    with pytest.raises(UserError, match="index"):
        load_parts(str(tmp_path / "nothing"), Service())


@pytest.fixture
def index(tmp_path):
    """An index of forty scenes, built from files."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    scenes = SceneImages("test", 0, 40)
    for number in range(40):
        scenes[number].save(pictures / f"{number:03d}.png")
    out = tmp_path / "index"
    command = [sys.executable, "-m", "reex_jax.index", "build"]
    subprocess.run([*command, f"--images={pictures}", f"--out={out}"], check=True)
    return out


def start(index) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "reex_jax.serve", f"--index={index}", "--serve.port=0"]
    command += ["--serve.batch_sizes=(1,4)", "--serve.learning.wait_s=0.0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = re.search(r"at (http://\S+)", process.stdout.readline())[1]
    wait(lambda: httpx2.get(f"{address}/ready").status_code == 200)
    wait(lambda: state(address)["ready"])
    return process, address


def state(address: str) -> dict:
    return httpx2.get(f"{address}/v1/state").json()


def batches(address: str) -> int:
    return sum(lane["batches"] for lane in state(address)["lanes"])


def wait(condition) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        try:
            if condition():
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail("it never came true")


@pytest.mark.slow
def test_it_serves_learns_saves_and_goes_on(index):
    process, address = start(index)
    picture = httpx2.get(f"{address}/v1/items/9/thumbnail")
    assert picture.headers["content-type"] in ("image/webp", "image/jpeg")
    found = httpx2.post(f"{address}/v1/search", json={"text": "a red ring", "k": 3}).json()
    assert len(found["results"]) == 3
    wait(lambda: batches(address) > 0)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Traceback" not in errors
    folder = index.with_name("index-state")
    assert (folder / "text-reex" / "adapter.json").is_file()

    process, address = start(index)
    wait(lambda: batches(address) > 0)
    children = [int(pid) for pid in _children(process.pid)]
    process.kill()
    process.communicate()
    wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()
