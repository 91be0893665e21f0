"""Where the right answers stand in each query's ranking, without the ranking itself."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32

from reex_jax.errors import UserError
from reex_jax.retrieval.chunks import DEFAULT_CHUNK, Chunk, scan_chunks
from reex_jax.retrieval.part import Searched, as_part
from reex_jax.retrieval.topk import check_widths


def ranks_of(
    queries: ArrayLike,
    gallery: ArrayLike,
    answers: ArrayLike,
    chunk: int = DEFAULT_CHUNK,
    correction: Float[Array, " items"] | None = None,
) -> Int32[Array, "batch answers"]:
    """How many gallery items stand before each right answer: 0 is the first place.

    Before an answer stand the items with a higher score, and of equal score those at a lower
    position, as in `top_k`. Only [B, R] numbers leave the device. A query whose embedding is not
    finite ranks its answers N, behind the whole gallery, so that a diverged run scores 0, not 100.

    Args:
        queries: [B, d] float32.
        gallery: [N, d] float32.
        answers: [B, R] int32 gallery positions in 0..N - 1; -1 where a query has fewer.
        chunk: gallery rows scored at a time.
        correction: what is taken from each item's scores, see `retrieval.calibration`.

    Returns:
        [B, R] int32; -1 where there is no answer.

    Raises:
        UserError: widths differ; a NumPy array of answers names an item that is not there.
    """
    queries, gallery = jnp.asarray(queries, jnp.float32), jnp.asarray(gallery, jnp.float32)
    check_widths(queries, gallery)
    if isinstance(answers, np.ndarray):  # values on a device are not read back for a check
        check_answers(answers, gallery.shape[0])
    return _ranks_of(queries, gallery, jnp.asarray(answers, jnp.int32), chunk, correction)


def check_answers(answers: np.ndarray, size: int) -> None:
    """Raises UserError if an answer [B, R] is no position of a gallery of `size` items, nor -1."""
    outside = np.argwhere((answers < -1) | (answers >= size))
    if outside.size:
        query, column = outside[0]
        raise UserError(
            f"query {query} has the answer {answers[query, column]}, but the gallery's "
            f"positions are 0..{size - 1} (-1: none); do both belong together?"
        )


@partial(jax.jit, static_argnums=3)
def _ranks_of(
    queries: Float[Array, "batch dim"],
    gallery: Float[Array, "items dim"],
    answers: Int32[Array, "batch answers"],
    chunk: int,
    correction: Float[Array, " items"] | None,
) -> Int32[Array, "batch answers"]:
    return answer_ranks(queries, gallery, answers, correction, chunk)


def answer_ranks(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    answers: Int32[Array, "batch answers"],
    correction: Float[Array, " places"] | None = None,
    chunk: int = DEFAULT_CHUNK,
) -> Int32[Array, "batch answers"]:
    """`ranks_of` inside of compiled functions, of a gallery that may be split over devices."""
    (ranks,) = ranks_by_each(queries, gallery, answers, [correction], chunk)
    return ranks


def ranks_by_each(
    queries: Float[Array, "batch dim"],
    gallery: Searched,
    answers: Int32[Array, "batch answers"],
    corrections: Sequence[Float[Array, " places"] | None],
    chunk: int = DEFAULT_CHUNK,
) -> tuple[Int32[Array, "batch answers"], ...]:
    """`answer_ranks` by each of some corrections, at the cost of one in products with the gallery.

    Args:
        queries, gallery, answers, chunk: see `answer_ranks`.
        corrections: None ranks by cosine alone.
    """
    part = as_part(gallery)
    own = [None if values is None else part.own(values) for values in corrections]

    # The answers' scores are read out of the same products that they are compared with: scores
    # computed in another shape may differ in the last bit and break ties.
    def read(found: list[jax.Array], now: Chunk) -> tuple[list[jax.Array], None]:
        at = answers - now.positions[0]
        size = now.positions.shape[0]
        inside = (at >= 0) & (at < size) & now.counted[jnp.clip(at, 0, size - 1)]

        def one(found: jax.Array, taken: jax.Array | None) -> jax.Array:
            scores = now.scores_less(taken)
            own = jnp.take_along_axis(scores, jnp.clip(at, 0, size - 1), axis=1)
            return jnp.where(inside, own, found)

        return [one(*pair) for pair in zip(found, own, strict=True)], None

    def count(before: list[jax.Array], now: Chunk) -> tuple[list[jax.Array], None]:
        not_earlier = now.positions[None, None, :] >= answers[:, :, None]

        def one(before: jax.Array, answer_scores: jax.Array, taken: jax.Array | None) -> jax.Array:
            others, own = now.scores_less(taken)[:, None, :], answer_scores[:, :, None]
            # Counts what the answer does not beat: NaN beats nothing, so it comes last, not first.
            beaten = (own > others) | ((own == others) & not_earlier)
            return before + (now.counted[None, None, :] & ~beaten).sum(axis=2, dtype=jnp.int32)

        return [one(*three) for three in zip(before, answer_scores, own, strict=True)], None

    nothing = [jnp.zeros(answers.shape, jnp.float32) for _ in own]
    answer_scores, _ = scan_chunks(read, nothing, queries, part, chunk=chunk)
    answer_scores = part.sum(answer_scores)  # one device has each, the others 0
    none = [jnp.zeros(answers.shape, jnp.int32) for _ in own]
    before, _ = scan_chunks(count, none, queries, part, chunk=chunk)
    return tuple(jnp.where(answers >= 0, rows, -1) for rows in part.sum(before))
