"""Exact search of galleries of 10^4 to 10^7 items, beside faiss's flat index and NumPy.

    python -m benchmarks.search --out search.json           # up to 10^6 x 128: some minutes
    python -m benchmarks.search --items 10000000 --storage bfloat16

The k best of 64 queries: by cosine, calibrated (cosine minus a correction for hubs), faiss-cpu's
IndexFlatIP where it is installed, and NumPy (one matrix product, then a partial sort). They take
turns, so that other work on the machine meets all of them; times are medians. Run it on a machine
that does nothing else.
"""

import argparse
import gc
import importlib.util
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tabulate import tabulate

from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.settings.gallery import STORAGES, GallerySettings

Run = Callable[[], Any]


def unit_rows(seed: int, count: int, dim: int) -> np.ndarray:
    """Random unit vectors [count, dim] float32."""
    rows = np.random.default_rng(seed).standard_normal((count, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def numpy_search(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k best, best first."""
    scores = queries @ rows.T
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def contestants(rows: np.ndarray, queries: np.ndarray, k: int, storage: str) -> dict[str, Run]:
    """Name -> a search that has its answer when it returns."""
    gallery = DeviceGallery(rows, jax.devices()[:1], GallerySettings(storage=storage))
    on_device = jnp.asarray(queries)
    hubs = 0.01 * np.random.default_rng(2).standard_normal((1, len(rows)), np.float32)
    corrections = jax.device_put(hubs, jax.devices()[0])
    found: dict[str, Run] = {
        "ours": lambda: gallery.best(on_device, k)[1],
        "calibrated": lambda: gallery.best(on_device, k, corrections)[1],
        "NumPy": partial(numpy_search, rows, queries, k),
    }
    if importlib.util.find_spec("faiss"):
        import faiss

        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        found["faiss"] = lambda: index.search(queries, k)[1]
    return found


def measure(items: int, dim: int, batch: int, k: int, storage: str, turns: int) -> dict[str, Any]:
    """Median milliseconds of every contestant, and how often ours agrees with NumPy."""
    rows, queries = unit_rows(0, items, dim), unit_rows(1, batch, dim)
    runs = contestants(rows, queries, k, storage)
    answers = {name: np.asarray(run()) for name, run in runs.items()}  # and compiles
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    row: dict[str, Any] = {"items": items, "dim": dim, "storage": storage}
    row |= {f"{name} ms": 1e3 * float(np.median(own)) for name, own in seconds.items()}
    if "faiss" in runs:
        row["faiss / ours"] = row["faiss ms"] / row["ours ms"]
    row["calibrated / ours"] = row["calibrated ms"] / row["ours ms"]
    row["same as NumPy"] = float((answers["ours"] == answers["NumPy"]).mean())
    return row


def main() -> None:
    """Measures every size, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--storage", choices=STORAGES, default="float32")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    table = []
    for items in given.items:
        table.append(measure(items, given.dim, given.batch, given.k, given.storage, given.turns))
        gc.collect()
    print(tabulate(table, headers="keys", tablefmt="github", floatfmt=".3g"))
    if given.out:
        given.out.write_text(json.dumps({"batch": given.batch, "k": given.k, "rows": table}))


if __name__ == "__main__":
    main()
