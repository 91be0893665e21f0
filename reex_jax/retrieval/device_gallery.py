"""A gallery on a device, as an adapter searches it: no second copy is made for ranking."""

import operator
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32

from reex_jax.arrays import cosines
from reex_jax.errors import UserError
from reex_jax.retrieval.confidence import sure_top_k
from reex_jax.retrieval.ranks import check_answers, ranks_of
from reex_jax.retrieval.topk import check_widths, top_k


class DeviceGallery:
    """Searches the rows that a device holds for something else, too.

    They are [1, N, d], a device's part of an array that is replicated over several; inside of
    `jax.jit` taking the one out copies nothing.
    """

    def __init__(self, rows: Float[Array, "1 items dim"]) -> None:
        """`rows` are unit vectors."""
        self._rows = rows
        _, self.size, self.dim = rows.shape

    def copy(self) -> Float[Array, "items dim"]:
        """The rows as an array of their own."""
        return self._rows[0]

    def check_k(self, k: Any) -> int:
        """k as Python's own integer.

        Raises:
            UserError: it is no integer of any type, or not in 1..N.
        """
        try:
            whole = 0 if isinstance(k, bool) else operator.index(k)
        except TypeError:
            whole = 0
        if not 1 <= whole <= self.size:
            raise UserError(f"k is {k!r}, but must lie in 1..{self.size}, the gallery's size")
        return whole

    def check_queries(self, queries: jax.Array) -> None:
        """Raises UserError unless they are rows of the gallery's width."""
        check_widths(queries, jax.ShapeDtypeStruct((self.size, self.dim), queries.dtype))

    def best(
        self, queries: jax.Array, k: int, correction: jax.Array | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and positions of the k best by cosine minus correction; on the host."""
        scores, positions = jax.device_get(_best(queries, self._rows, k, correction))
        return scores, positions

    def cosines(self, queries: jax.Array) -> np.ndarray:
        """All cosines [B, N] float32; on the host."""
        return np.asarray(_cosines(queries, self._rows))

    def ranks(
        self, queries: jax.Array, answers: ArrayLike, correction: jax.Array | None = None
    ) -> np.ndarray:
        """Where right answers stand, see `ranks_of`; on the host."""
        return np.asarray(_ranks(queries, self._rows, np.asarray(answers, np.int32), correction))

    def sure(
        self,
        queries: jax.Array,
        k: int,
        temperature: jax.Array,
        correction: jax.Array | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and confidence of the first items, see `sure_top_k`; on the host."""
        positions, sure = jax.device_get(_sure(queries, self._rows, k, temperature, correction))
        return positions, sure

    def check_answers(self, answers: np.ndarray) -> None:
        """Raises UserError if an answer is not in the gallery."""
        check_answers(answers, self.size)


@jax.jit
def _cosines(
    queries: Float[Array, "batch dim"], rows: Float[Array, "1 items dim"]
) -> Float[Array, "batch items"]:
    return cosines(queries, rows[0])


@partial(jax.jit, static_argnums=2)
def _best(
    queries: Float[Array, "batch dim"],
    rows: Float[Array, "1 items dim"],
    k: int,
    correction: Float[Array, " items"] | None,
) -> tuple[Float[Array, "batch {k}"], Int32[Array, "batch {k}"]]:
    scores, positions = top_k(queries, rows[0], k, correction=correction)
    return scores if correction is None else scores + correction[positions], positions


@partial(jax.jit, static_argnums=2)
def _sure(
    queries: Float[Array, "batch dim"],
    rows: Float[Array, "1 items dim"],
    k: int,
    temperature: Float[Array, ""],
    correction: Float[Array, " items"] | None,
) -> tuple[Int32[Array, "batch {k}"], Float[Array, " batch"]]:
    return sure_top_k(queries, rows[0], k, temperature, correction)


@jax.jit
def _ranks(
    queries: Float[Array, "batch dim"],
    rows: Float[Array, "1 items dim"],
    answers: Int32[Array, "batch answers"],
    correction: Float[Array, " items"] | None,
) -> Int32[Array, "batch answers"]:
    return ranks_of(queries, rows[0], answers, correction=correction)
