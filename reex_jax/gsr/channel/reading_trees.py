"""Readings of queries as trees of tokens, and the trees packed into rows of few sizes.

Readings of one query differ in a few words, and all of a query's begin with the same prompt: as a
tree, every beginning that several share is read once. Several small trees share a row, so rows have
little padding and only a few widths.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NARROWEST, WIDEST = 256, 2048
"""Tokens of a row; the widths between are doublings. A longer reading is not read."""


class Tree(NamedTuple):
    """Texts that begin alike, in depth-first order.

    Attributes:
        ids, depths, ends, parents: for each token as in `models.llama.model.Forest`, [size] int32.
        paths: for each text the places of its tokens, in order.
    """

    ids: np.ndarray
    depths: np.ndarray
    ends: np.ndarray
    parents: np.ndarray
    paths: tuple[np.ndarray, ...]

    @property
    def size(self) -> int:
        """How many tokens are read."""
        return len(self.ids)


class Row(NamedTuple):
    """Which trees share a row.

    Attributes:
        width: of the row.
        trees: their numbers.
        starts: where each begins.
    """

    width: int
    trees: list[int]
    starts: list[int]


def plant(texts: Sequence[Sequence[int]]) -> Tree:
    """The tree of texts, each at least one token.

    >>> tree = plant([[5, 6, 7], [5, 8]])
    >>> tree.ids.tolist(), tree.parents.tolist(), tree.ends.tolist()
    ([5, 6, 7, 8], [0, 0, 1, 0], [4, 3, 3, 4])
    >>> [path.tolist() for path in tree.paths]
    [[0, 1, 2], [0, 3]]
    """
    ids: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    ends: list[int] = []
    paths: list[np.ndarray] = [np.empty(0, np.int32)] * len(texts)
    path: list[int] = []  # places of the text before, from its first token on
    for number in sorted(range(len(texts)), key=lambda at: list(texts[at])):
        text = texts[number]
        shared = 0
        while shared < min(len(path), len(text)) and ids[path[shared]] == text[shared]:
            shared += 1
        for place in path[shared:]:
            ends[place] = len(ids)
        del path[shared:]
        for token in text[shared:]:
            place = len(ids)
            ids.append(token)
            depths.append(len(path))
            parents.append(path[-1] if path else place)
            ends.append(0)
            path.append(place)
        paths[number] = np.array(path, np.int32)
    for place in path:
        ends[place] = len(ids)
    columns = [np.array(part, np.int32) for part in (ids, depths, ends, parents)]
    return Tree(columns[0], columns[1], columns[2], columns[3], tuple(paths))


def pack(sizes: Sequence[int]) -> list[Row]:
    """Rows for trees of these sizes (first fit, the largest first), the widest rows first.

    Raises:
        ValueError: a tree is larger than WIDEST.
    """
    rows: list[Row] = []
    free: list[int] = []
    for number in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        size = sizes[number]
        at = next((at for at, left in enumerate(free) if left >= size), None)
        if at is None:
            at = len(rows)
            rows.append(Row(_width(size), [], []))
            free.append(rows[at].width)
        rows[at].trees.append(number)
        rows[at].starts.append(rows[at].width - free[at])
        free[at] -= size
    return rows


def _width(size: int) -> int:
    if size > WIDEST:
        raise ValueError(f"a tree of {size} tokens does not fit into a row of {WIDEST}")
    return max(NARROWEST, 1 << (size - 1).bit_length())


def laid_out(rows: Sequence[Row], trees: Sequence[Tree]) -> tuple[np.ndarray, ...]:
    """ids, depths, ends and parents [rows, width] int32 of rows of one width.

    What no tree fills are tokens by themselves, which nothing else sees.
    """
    width = rows[0].width
    ids = np.zeros((len(rows), width), np.int32)
    depths = np.zeros_like(ids)
    parents = np.tile(np.arange(width, dtype=np.int32), (len(rows), 1))
    ends = parents + 1
    for at, row in enumerate(rows):
        for number, start in zip(row.trees, row.starts, strict=True):
            tree, part = trees[number], slice(start, start + trees[number].size)
            ids[at, part] = tree.ids
            depths[at, part] = tree.depths
            ends[at, part] = tree.ends + start
            parents[at, part] = tree.parents + start
    return ids, depths, ends, parents
