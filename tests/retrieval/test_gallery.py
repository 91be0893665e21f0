"""Galleries: what is refused, and that batches change nothing."""

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.retrieval.gallery import Gallery, embed_gallery


def unit_rows(count: int, width: int = 4) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batches_change_nothing(batch_size):
    rows = unit_rows(7)
    gallery = embed_gallery(
        np.stack, list(rows), list("abcdefg"), batch_size=batch_size, progress=False
    )
    np.testing.assert_array_equal(gallery.embeddings, rows)
    assert gallery.ids == tuple("abcdefg")


def test_faults_are_named():
    rows = unit_rows(3)
    broken = rows.copy()
    broken[1, 2] = np.nan
    with pytest.raises(UserError, match=r"1 gallery embeddings .* 'b' \(length nan\)"):
        Gallery(broken, ("a", "b", "c"))
    with pytest.raises(UserError, match="first is 'a'"):
        Gallery(2 * rows, ("a", "b", "c"))
    with pytest.raises(UserError, match="3 embeddings but 2 ids"):
        Gallery(rows, ("a", "b"))
    with pytest.raises(UserError, match="'a' is given twice"):
        Gallery(rows, ("a", "b", "a"))
    with pytest.raises(UserError, match="at least one item"):
        embed_gallery(np.stack, [], [], batch_size=2, progress=False)
    with pytest.raises(UserError, match="batch_size is 0"):
        embed_gallery(np.stack, list(rows), list("abc"), batch_size=0, progress=False)
