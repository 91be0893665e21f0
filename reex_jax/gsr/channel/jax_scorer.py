"""Log probabilities of sentences from a Llama-like model in JAX, on the accelerator or the CPU.

JAX is imported when the model is loaded: whoever asks for another scorer needs none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reex_jax.errors import UserError
from reex_jax.gsr.channel.completions import differing_parts
from reex_jax.gsr.channel.reading_trees import WIDEST, Row, Tree, laid_out, pack, plant
from reex_jax.gsr.channel.rescore import LEAD, Scores
from reex_jax.gsr.local_model import check_pinned, pinned_name

if TYPE_CHECKING:
    from reex_jax.gsr.channel.jax_reader import JaxReader

TOO_LONG = "too long to be read"


class _Asked(NamedTuple):
    """A list of sentences on its way.

    Attributes:
        trees: the numbers of its trees; empty where a sentence is too long.
        start: how many tokens come before the first that counts.
    """

    trees: range
    start: int


@dataclass(frozen=True, eq=False)
class JaxScorer:
    """Reads the readings of many queries at once, what they share only once.

    Attributes:
        model: a folder or hub id of a causal language model of the Llama family.
        revision: of the hub id.

    Raises:
        UserError: a hub id without revision, so that nobody would know what filled the cache.
    """

    model: str
    revision: str = ""

    def __post_init__(self) -> None:
        """Checks that the model is pinned."""
        check_pinned(self.model, self.revision)

    @cached_property
    def identity(self) -> str:
        """Model and lead; device and precision change nothing but rounding."""
        return f"jax model={pinned_name(self.model, self.revision)} lead={LEAD!r}"

    @cached_property
    def _reader(self) -> "JaxReader":
        try:
            from reex_jax.gsr.channel.jax_reader import load_reader
        except ImportError as error:
            raise UserError(
                f"gsr.scorer is 'jax', which needs JAX and Flax ({error}); install reex_jax with "
                "its dependencies"
            ) from error
        return load_reader(self.model, self.revision or None)

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[Scores]:
        """For each list its sentences' log probabilities, apart from what they share."""
        trees: list[Tree] = []
        asked = []
        for head, tails in self._tokens(lists):
            found = _planted(head, tails)
            asked.append(_Asked(range(len(trees), len(trees) + len(found)), len(head)))
            trees += found
        logs = self._read(trees)
        for item in asked:
            values = [
                float(logs[at][path[item.start :]].sum(dtype=np.float64))
                for at in item.trees
                for path in trees[at].paths
            ]
            yield Scores(values, fault="" if values else TOO_LONG)

    def _tokens(
        self, lists: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Of each list what all begin with, and how each goes on; the two are cut apart."""
        parts = [differing_parts(sentences) for sentences in lists]
        rows = iter(
            self._reader.cut([text for before, rests in parts for text in (before, *rests)])
        )
        for _, rests in parts:
            yield next(rows), [next(rows) for _ in rests]

    def _read(self, trees: Sequence[Tree]) -> list[np.ndarray]:
        """For each tree the log probability of each of its tokens behind those before."""
        # All batches are on their way before the first result is waited for.
        waiting = [
            (rows, self._reader.read(*laid_out(rows, trees)))
            for rows in _batches(pack([tree.size for tree in trees]), self._reader.tokens)
        ]
        found: dict[int, np.ndarray] = {}
        for rows, logs in waiting:
            for row, values in zip(rows, np.asarray(logs), strict=True):
                for number, start in zip(row.trees, row.starts, strict=True):
                    found[number] = values[start : start + trees[number].size]
        return [found[number] for number in range(len(trees))]


def _planted(head: list[int], tails: Sequence[list[int]]) -> list[Tree]:
    """One tree for a list, or several where one would be too wide; none for a sentence too long."""
    texts = [head + tail for tail in tails]
    if max(map(len, texts)) > WIDEST:
        return []
    tree = plant(texts)
    if tree.size <= WIDEST:
        return [tree]
    half = len(tails) // 2
    return [*_planted(head, tails[:half]), *_planted(head, tails[half:])]


def _batches(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Rows of one width together; how many is a power of two, so that few shapes compile."""
    for width, group in groupby(rows, key=lambda row: row.width):
        left = list(group)
        while left:
            count = min(max(tokens // width, 1), 1 << (len(left).bit_length() - 1))
            yield left[:count]
            del left[:count]
