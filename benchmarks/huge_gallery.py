"""Fills a gallery of tens of millions of items on one device, and searches it.

    python -m benchmarks.huge_gallery --items 10000000 50000000 --out huge.json   # 80 GB

No array of that size exists on the host: the rows are pieces of one random block, each turned by
another number of columns or negated, and are sent as they are asked for. The k best of 64 queries
by cosine and by calibrated score; one device holds all rows. `known` is the share of queries, near
copies of one row each, that find that row first.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tabulate import tabulate

from benchmarks.measuring import seconds
from benchmarks.search import unit_rows
from reex_jax.retrieval.device_gallery import DeviceGallery
from reex_jax.retrieval.rows import PIECE
from reex_jax.settings.gallery import STORAGES, GallerySettings


class Turned:
    """[N, d] float32 unit rows, made a piece at a time."""

    def __init__(self, items: int, dim: int) -> None:
        self.shape = (items, dim)
        block = unit_rows(0, min(PIECE, items), dim)
        self._twice = np.concatenate([block, block], axis=1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        """The rows of one piece, or the start of one."""
        dim, piece = self.shape[1], part.start // PIECE
        turn = piece * 7 % dim
        rows = self._twice[: min(part.stop, len(self)) - part.start, turn : turn + dim]
        return -rows if piece // dim % 2 else rows  # every turn comes once, then once negated

    def near(self, places: np.ndarray) -> np.ndarray:
        """Unit vectors near the rows at some places."""
        rows = np.stack([self[slice(p - p % PIECE, len(self))][p % PIECE] for p in places])
        rows = rows + 0.02 * unit_rows(1, len(places), self.shape[1])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure(items: int, given: argparse.Namespace) -> dict[str, Any]:
    """One size: seconds to fill it, milliseconds of a search, the device's memory."""
    device = jax.devices()[0]
    rows = Turned(items, given.dim)
    began = time.perf_counter()
    gallery = DeviceGallery(rows, [device], GallerySettings(storage=given.storage))
    filled = time.perf_counter() - began
    places = np.random.default_rng(2).integers(0, items, given.batch)
    queries = jnp.asarray(rows.near(places))
    corrections = 0.01 * jax.random.normal(jax.random.key(3), (1, items))
    row: dict[str, Any] = {"items": items, "dim": given.dim, "storage": given.storage}
    row |= {"fill s": filled, "k": given.k, "batch": given.batch}
    for name, taken in {"cosine": None, "calibrated": corrections}.items():
        search = partial(gallery.best, queries, given.k, taken)
        found = search()[1]  # and compiles
        row[f"{name} ms"] = 1e3 * float(np.median([seconds(search) for _ in range(given.turns)]))
        if taken is None:
            row["known"] = float((found[:, 0] == places).mean())
    stats = device.memory_stats() or {}
    row["peak GB"] = stats.get("peak_bytes_in_use", float("nan")) / 1e9
    row["rows GB"] = items * given.dim * (2 if given.storage == "bfloat16" else 4) / 1e9
    return row


def main() -> None:
    """Measures every size, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10**7])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--storage", choices=STORAGES, default="bfloat16")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    table = []
    for items in given.items:
        table.append(measure(items, given))
        print(json.dumps(table[-1]), flush=True)
        if given.out:
            given.out.write_text(json.dumps(about | {"rows": table}, indent=1) + "\n", "utf-8")
    print(json.dumps(about))
    print(tabulate(table, headers="keys", tablefmt="github", floatfmt=".3g"))


if __name__ == "__main__":
    main()
