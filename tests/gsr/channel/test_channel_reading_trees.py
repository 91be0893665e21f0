"""Trees of readings against the texts themselves."""

import numpy as np
import pytest

from reex_jax.gsr.channel.reading_trees import NARROWEST, WIDEST, laid_out, pack, plant


def drawn(seed: int) -> list[list[int]]:
    """Texts over three tokens, so that many begin alike and some are equal or continue others."""
    rng = np.random.default_rng(seed)
    return [rng.integers(3, size=rng.integers(1, 6)).tolist() for _ in range(12)]


@pytest.mark.parametrize("seed", range(5))
def test_a_tree_holds_its_texts_once(seed: int) -> None:
    texts = drawn(seed)
    tree = plant(texts)
    beginnings = {tuple(text[: at + 1]) for text in texts for at in range(len(text))}
    assert tree.size == len(beginnings)
    for text, path in zip(texts, tree.paths, strict=True):
        assert tree.ids[path].tolist() == text
        assert tree.depths[path].tolist() == list(range(len(text)))
        assert tree.parents[path].tolist() == [path[0], *path[:-1]]
    seen = [
        {s for s in range(t + 1) if t < tree.ends[s]} for t in range(tree.size)
    ]  # what the model lets a token see
    for path in tree.paths:
        for at, place in enumerate(path):
            assert seen[place] == set(path[: at + 1].tolist())


def test_rows_hold_every_tree_once_and_little_else() -> None:
    sizes = [100, 300, 256, 1, 150, 2048, 60, 257]
    rows = pack(sizes)
    assert sorted(number for row in rows for number in row.trees) == list(range(len(sizes)))
    for row in rows:
        assert row.width in (256, 512, 1024, 2048)
        ends = [start + sizes[number] for number, start in zip(row.trees, row.starts, strict=True)]
        assert row.starts == [0, *ends[:-1]] and ends[-1] <= row.width
    assert [row.width for row in rows] == [2048, 512, 512, 256]
    assert pack([]) == []
    with pytest.raises(ValueError, match=f"a tree of {WIDEST + 1} tokens does not fit into a row"):
        pack([WIDEST + 1])


def test_trees_beside_each_other_do_not_touch() -> None:
    trees = [plant([[7, 8], [7, 9]]), plant([[5, 5]])]
    ids, depths, ends, parents = laid_out(pack([tree.size for tree in trees]), trees)
    assert ids.shape == (1, NARROWEST) and ids.dtype == ends.dtype == np.int32
    assert ids[0, :6].tolist() == [7, 8, 9, 5, 5, 0]
    assert depths[0, :6].tolist() == [0, 1, 1, 0, 1, 0]
    assert ends[0, :7].tolist() == [3, 2, 3, 5, 5, 6, 7]
    assert parents[0, :7].tolist() == [0, 0, 0, 3, 3, 5, 6]
