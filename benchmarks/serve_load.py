"""Loads a service on this machine: latency, throughput, wrong or lost answers, memory, faults.

    python -m benchmarks.serve_load                        # the table, about ten minutes
    python -m benchmarks.serve_load --items 2000 --seconds 2 --clients 1,8 --memory-seconds 5
    python -m benchmarks.serve_load --backend usearch      # the same over a back end's candidates

It builds an index of random unit vectors, starts `python -m reex_jax.serve` on it, on the loopback
device only, and ends it. Every answer is checked: the status must be 200, or 503 with Retry-After,
and without learning an answer must be that of the same query asked alone.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import numpy as np
import psutil

from reex_jax.index.identity import identity_of
from reex_jax.index.manifest import Manifest
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter
from reex_jax.models.load import load_model
from reex_jax.settings.search import BACKENDS

COLOURS = ("red", "blue", "green", "yellow", "black", "white", "purple", "orange")
SHAPES = ("circle", "square", "triangle", "star", "ring", "heart", "cross", "diamond")
QUERIES = [f"a {c} {s} above a {d} {t}" for c in COLOURS for s in SHAPES
           for d, t in zip(COLOURS, reversed(SHAPES), strict=True)]  # fmt: skip
START_S = 600.0


@dataclass
class Outcome:
    """What came of many requests."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    wrong: int = 0

    def row(self, name: str, took: float) -> str:
        ms = 1e3 * np.asarray(self.seconds or [np.nan])
        p50, p95, p99 = np.percentile(ms, [50, 95, 99])
        good, busy = self.statuses[200], self.statuses[503]
        lost = sum(self.statuses.values()) - good - busy
        return (
            f"| {name} | {good / took:.0f} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {good} | {busy} "
            f"| {lost} | {self.wrong} |"
        )


HEAD = (
    "| what | answers/s | p50 ms | p95 ms | p99 ms | answered | refused (503) | lost | wrong |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


class Server:
    """`python -m reex_jax.serve` on an index, as a process.

    Attributes:
        backend: of every one, see `search.backend`.
    """

    backend = "exact"

    def __init__(self, index: Path, *options: str) -> None:
        self.index, self.options = index, (f"--serve.search.backend={self.backend}", *options)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> float:
        """Starts it; seconds until it answers."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "reex_jax.serve", f"--index={self.index}"]
        command += [f"--serve.port={self.port}", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while time.perf_counter() - began < START_S:
            if self.process.poll() is not None:
                raise SystemExit("the service ended while it started")
            try:
                if httpx2.get(f"{self.address}/ready").status_code == 200:
                    return time.perf_counter() - began
            except httpx2.HTTPError:
                pass
            time.sleep(0.2)
        raise SystemExit("the service did not get ready")

    def memory_mb(self) -> float:
        """Of the service and its learner."""
        top = psutil.Process(self.process.pid)
        return sum(p.memory_info().rss for p in [top, *top.children(recursive=True)]) / 1e6

    def settle(self) -> None:
        """Waits until nothing is being learned or compiled."""
        quiet, end = 0, time.perf_counter() + 180
        while quiet < 6 and time.perf_counter() < end:
            children = psutil.Process(self.process.pid).children(recursive=True)
            busy = sum(child.cpu_percent(0.5) for child in children)
            quiet = quiet + 1 if busy < 20 else 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(120)


def build_index(folder: Path, items: int) -> Path:
    """An index of random unit vectors, of the bundled model."""
    model = load_model()
    rows = np.random.default_rng(0).normal(size=(items, model.dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with IndexWriter(folder, Manifest(identity_of(model), "image", "float32")) as writer:
        for start in range(0, items, 10_000):
            part = rows[start : start + 10_000]
            writer.append([Row(f"item-{start + i:07d}", row) for i, row in enumerate(part)])
    return folder


async def ask(client: httpx2.AsyncClient, text: str, **options) -> tuple[int, list[int], float]:
    began = time.perf_counter()
    try:
        answer = await client.post("/v1/search", json={"text": text, "k": 10} | options)
    except httpx2.HTTPError:
        return 0, [], time.perf_counter() - began
    took = time.perf_counter() - began
    if answer.status_code == 503 and "retry-after" not in answer.headers:
        return -503, [], took
    if answer.status_code != 200:
        return answer.status_code, [], took
    return 200, [hit["position"] for hit in answer.json()["results"]], took


async def expected(address: str) -> dict[str, list[int]]:
    """Every query's answer by the source model, asked alone."""
    async with httpx2.AsyncClient(base_url=address, timeout=60) as client:
        options = {"method": "none", "calibration": False, "learn": False}
        return {text: (await ask(client, text, **options))[1] for text in QUERIES[:128]}


async def load(
    address: str, clients: int, seconds: float, answers: dict[str, list[int]], **options
) -> tuple[Outcome, float]:
    """So many clients, each asking again as soon as it is answered."""
    outcome, texts = Outcome(), list(answers)
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    began = time.perf_counter()

    async def one(number: int, client: httpx2.AsyncClient) -> None:
        at = 17 * number
        while time.perf_counter() - began < seconds:
            text = texts[at % len(texts)]
            at += 1
            status, found, took = await ask(client, text, **options)
            outcome.statuses[status] += 1
            if status == 200:
                outcome.seconds.append(took)
                checked = options.get("method") == "none" and not options.get("calibration")
                outcome.wrong += len(found) != 10 or (checked and found != answers[text])
            elif status == 503:
                await asyncio.sleep(0.05)

    async with httpx2.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        await asyncio.gather(*(one(i, client) for i in range(clients)))
    return outcome, time.perf_counter() - began


async def trickle(port: int, count: int, seconds: float) -> Counter:
    """Clients that send a request's head, and then a byte of its body every half second."""
    head = b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
    found: Counter = Counter()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.ensure_future(reader.readline())
        writer.write(head)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not answer.done():
            writer.write(b" ")
            await asyncio.wait([answer], timeout=0.5)
        found[answer.result().split()[1].decode() if answer.done() else "none"] += 1
        answer.cancel()
        writer.close()

    await asyncio.gather(*(one() for _ in range(count)))
    return found


async def broken_uploads(address: str, count: int) -> Counter:
    """Bytes that are no picture, pictures cut short, bodies that are too large."""
    draw, found = np.random.default_rng(1), Counter()
    start = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0"
    async with httpx2.AsyncClient(base_url=address, timeout=60) as client:
        for number in range(count):
            size = 12_000_000 if number % 20 == 0 else int(draw.integers(0, 5000))
            body = (start if number % 2 else b"") + draw.bytes(size)
            try:
                answer = await client.post("/v1/search/image", content=body)
                found[answer.status_code] += 1
            except httpx2.HTTPError:  # the server hangs up on a body that is too large
                found["closed"] += 1
    return found


def said(line: str) -> None:
    print(line, flush=True)


def table(index: Path, args: argparse.Namespace, clients: list[int]) -> None:
    """Latency by number of clients, without learning and with it."""
    counts = {}
    for learning in (False, True):
        server = Server(index, f"--serve.learning.on={learning}", "--serve.limits.queue=256")
        ready = server.start()
        answers = asyncio.run(expected(server.address))
        server.settle()
        plain = {"method": "none", "calibration": False, "repair": False, "learn": False}
        options = {"learn": True} if learning else plain
        said(f"\nlearning {'on' if learning else 'off'} (ready after {ready:.0f} s)\n{HEAD}")
        asyncio.run(load(server.address, 4, 1.0, answers, **options))
        for count in clients:
            outcome, took = asyncio.run(
                load(server.address, count, args.seconds, answers, **options)
            )
            counts[learning, count] = outcome
            said(outcome.row(f"{count} clients", took))
        said(f"status {server.stop()} at the end")
    for count in clients:
        off, on = (np.percentile(counts[x, count].seconds, 99) for x in (False, True))
        said(f"{count} clients: p99 with learning is {on / off:.2f} times that without")


def faults(index: Path, args: argparse.Namespace) -> None:
    """A full queue, slow clients, broken uploads, kill -9, memory."""
    server = Server(index, "--serve.limits.queue=4", "--serve.limits.read_s=3")
    server.start()
    answers = asyncio.run(expected(server.address))
    server.settle()
    said(f"\nfaults\n{HEAD}")
    outcome, took = asyncio.run(load(server.address, 64, args.seconds, answers))
    said(outcome.row("64 clients, queue of 4", took))
    server.stop()

    server = Server(index, "--serve.limits.read_s=3", "--serve.limits.queue=64")
    server.start()

    async def beside() -> tuple:
        return await asyncio.gather(
            load(server.address, 8, args.seconds, answers),
            trickle(server.port, 32, max(args.seconds, 6)),
            broken_uploads(server.address, 100),
        )

    (outcome, took), slow, broken = asyncio.run(beside())
    said(outcome.row("8 clients beside slow ones and broken uploads", took))
    said(f"slow clients were told {dict(slow)}, broken uploads {dict(broken)}")

    async def killed() -> tuple[Outcome, float]:
        running = asyncio.ensure_future(load(server.address, 8, 4.0, answers))
        await asyncio.sleep(2.0)
        server.process.kill()
        return await running

    httpx2.post(f"{server.address}/v1/state/save", timeout=120)
    before = batches(server)
    outcome, _ = asyncio.run(killed())
    server.process.wait()
    ready = server.start()
    end = time.perf_counter() + 120
    while not (after := batches(server)) and time.perf_counter() < end:
        time.sleep(0.5)
    said(
        f"kill -9 under load: {outcome.statuses[200]} answered before, {outcome.wrong} wrong; "
        f"ready again after {ready:.0f} s, {after} batches learned ({before} were saved)"
    )
    server.settle()
    memory, began = [], time.perf_counter()
    while time.perf_counter() - began < args.memory_seconds:
        asyncio.run(load(server.address, 8, max(args.memory_seconds / 10, 1), answers))
        memory.append(round(server.memory_mb()))
    said(f"memory under 8 clients for {args.memory_seconds:g} s, MB: {memory}")
    said(f"status {server.stop()} at the end")


def batches(server: Server) -> int:
    lanes = httpx2.get(f"{server.address}/v1/state").json()["lanes"]
    return sum(lane["batches"] for lane in lanes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each row of the table")
    parser.add_argument("--clients", default="1,2,4,8,16,32,64")
    parser.add_argument("--memory-seconds", type=float, default=120.0)
    parser.add_argument("--only", choices=("table", "faults"), default=None)
    parser.add_argument("--backend", default=Server.backend, choices=BACKENDS)
    args = parser.parse_args()
    Server.backend = args.backend
    clients = [min(int(count), 64) for count in args.clients.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        # Programs that one service compiled, the next one finds.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(folder) / "compiled"))
        index = build_index(Path(folder) / "index", args.items)
        said(f"{args.items:,} items, {os.cpu_count()} cores, {args.seconds:g} s a row")
        if args.only != "faults":
            table(index, args, clients)
        if args.only != "table":
            faults(index, args)


if __name__ == "__main__":
    main()
