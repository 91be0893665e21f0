"""Where the right answers stand in each query's ranking, without the ranking itself."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int32

from reex_jax.errors import UserError
from reex_jax.retrieval.chunks import DEFAULT_CHUNK, chunk_similarities, chunk_starts
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
    chunk = min(chunk, gallery.shape[0])
    starts = chunk_starts(gallery.shape[0], chunk)

    # The answers' scores are read out of the same products that they are compared with: scores
    # computed in another shape may differ in the last bit and break ties.
    def read(found: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        scores, positions, _ = chunk_similarities(queries, gallery, start, chunk, correction)
        inside = (answers >= start) & (answers < start + chunk)
        at = jnp.clip(answers - positions[0], 0, chunk - 1)
        return jnp.where(inside, jnp.take_along_axis(scores, at, axis=1), found), None

    def count(before: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        scores, positions, counted = chunk_similarities(queries, gallery, start, chunk, correction)
        others, own = scores[:, None, :], answer_scores[:, :, None]
        not_earlier = positions[None, None, :] >= answers[:, :, None]
        # Counts what the answer does not beat: NaN beats nothing, so it comes last, not first.
        beaten = (own > others) | ((own == others) & not_earlier)
        return before + (counted[None, None, :] & ~beaten).sum(axis=2, dtype=jnp.int32), None

    answer_scores, _ = jax.lax.scan(read, jnp.zeros(answers.shape, jnp.float32), starts)
    before, _ = jax.lax.scan(count, jnp.zeros(answers.shape, jnp.int32), starts)
    return jnp.where(answers >= 0, before, -1)
