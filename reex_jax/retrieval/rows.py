"""Embeddings as they are given: arrays, or files too large for the host's memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt64

from reex_jax.errors import UserError
from reex_jax.files import home

Rows = np.ndarray
"""[N, d] numbers of any precision; perhaps a file's, which are read when they are asked for."""

PIECE = 65536
"""Rows that are in memory at once."""


def open_rows(embeddings: Any) -> Rows:
    """An array as it is; a .npy file by its path, mapped into memory and not read yet.

    Raises:
        UserError: no such file, no array of numbers in it, or no array of numbers at all.
    """
    if isinstance(embeddings, str | Path):
        rows = _open_file(Path(embeddings))
    else:
        rows = np.asarray(jax.device_get(embeddings))
    if rows.dtype.kind not in "fiu" and rows.dtype.name != "bfloat16":
        raise UserError(
            f"gallery embeddings have the type {rows.dtype}; give numbers, [N, d] float32"
        )
    return rows


def _open_file(path: Path) -> Rows:
    file = home(path)
    if not file.is_file():
        raise UserError(f"the gallery {file} is not there; write it with numpy.save")
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise UserError(
            f"the gallery {file} is no array ({error}); write it with numpy.save"
        ) from error


def read_pieces(rows: Rows) -> Iterator[Float[np.ndarray, "piece dim"]]:
    """The rows in float32, some at a time."""
    for start in range(0, len(rows), PIECE):
        yield np.asarray(rows[start : start + PIECE], np.float32)


def fingerprints(rows: Rows) -> UInt64[np.ndarray, " items"]:
    """A number for each row that tells it from others: equal rows, and hardly others, share one.

    Sums of the rows' bits times fixed odd numbers, modulo 2^64: it finds accidents, not forgery.
    """
    rng = np.random.default_rng(20240229)
    odd = rng.integers(0, 2**64, rows.shape[1], np.uint64, endpoint=False) | np.uint64(1)
    found = np.empty(len(rows), np.uint64)
    at = 0
    for piece in read_pieces(rows):
        for low in range(0, len(piece), 4096):
            part = np.ascontiguousarray(piece[low : low + 4096])
            bits = part.view(np.uint32).astype(np.uint64)
            found[at : at + len(part)] = (bits * odd).sum(axis=1, dtype=np.uint64)
            at += len(part)
    return found
