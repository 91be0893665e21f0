"""Compiles, before a pass goes on, the programs that its later batches need."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import jax
import numpy as np

from reex_jax import hosts
from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.batches import lengthened, text_lengths
from reex_jax.queries.pipeline import PreparedBatch


def rehearsed(
    adapter: Adapter,
    batches: Iterator[PreparedBatch],
    count: int,
    batch_size: int,
    answers: int,
    *,
    texts: bool,
) -> Iterator[PreparedBatch]:
    """The same batches; all that their shapes need but the first's is compiled at once.

    Texts are all made before: only then their lengths are known, in which their batches differ.
    Several processes agree on these.

    Args:
        adapter: to which the batches will be given, with `ranks`.
        batches: this process's parts.
        count: queries of the whole pass.
        batch_size: of all processes together.
        answers: the columns of `ranks`' answers.
        texts: whether the queries are texts.
    """
    if texts:
        known = _of_equal_lengths(list(batches))
        places = list(range(len(known)))
    else:
        known = [next(batches)]
        places = [0, (count - 1) // batch_size]
    met = adapter.shapes_met
    for place in places:
        batch = known[place] if texts else known[0]
        size = min(batch_size, count - place * batch_size)
        shape = (size, *text_lengths(batch.inputs))
        if shape not in met and place > 0:
            adapter.rehearse(*_part(batch.inputs, size, answers))
        met.add(shape)
    return chain(known, batches)


def _of_equal_lengths(batches: list[PreparedBatch]) -> list[PreparedBatch]:
    """The same, padded to the lengths that all processes need."""
    own = np.array([text_lengths(batch.inputs) for batch in batches], np.int32)
    whole = hosts.gathered(own).max(axis=0).tolist()
    return [
        PreparedBatch(batch.indices, lengthened(batch.inputs, lengths), batch.mask)
        for batch, lengths in zip(batches, whole, strict=True)
    ]


def _part(inputs: Any, size: int, answers: int) -> tuple[Any, np.ndarray]:
    """What a batch of `size` queries is for this process: its queries and answers, some or none."""
    own = len(jax.tree.leaves(inputs)[0])
    real = min(max(size - jax.process_index() * own, 0), own)
    return first_rows(inputs, max(real, 1)), np.zeros((real, answers), np.int32)


def first_rows(inputs: Any, count: int) -> Any:
    """The first of an array's rows, or of several arrays'."""
    return jax.tree.map(lambda array: array[:count], inputs)
