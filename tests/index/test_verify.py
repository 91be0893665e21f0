"""Every byte of an index is covered: a flipped one is found, and named."""

import numpy as np
import pytest

from reex_jax.index import open_index
from reex_jax.index.rows import Row
from reex_jax.index.verify import faults_of, stats_of


def test_a_whole_index_has_no_faults(toy, make_rows):
    assert list(faults_of(open_index(toy(make_rows(0, 20))), shown=False)) == []


@pytest.mark.parametrize(
    "name", ["embeddings", "ids", "captions", "places", "stamps", "thumbnails", "checks"]
)
def test_a_flipped_bit_is_found(toy, make_rows, name):
    folder = toy(make_rows(0, 20))
    path = folder / "rows-1" / f"{name}.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert any("check sum" in fault for fault in faults_of(open_index(folder), shown=False))


def test_wrong_lengths_ids_and_ends_are_found(toy, make_rows, unit_rows):
    vectors = unit_rows(0, 3)
    rows = [Row("a", vectors[0] * 2), Row("a", vectors[1]), Row("", vectors[2])]
    faults = list(faults_of(open_index(toy(rows)), shown=False))
    assert [fault.split(":")[0] for fault in faults] == ["row 0 and 0 near it", "row 1", "row 2"]
    folder = toy(make_rows(0, 4), name="ends")
    path = folder / "rows-1" / "ids.ends"
    ends = np.fromfile(path, "<u8")
    ends[1] = 40
    ends.tofile(path)
    assert list(faults_of(open_index(folder), shown=False)) == ["ids.ends does not rise"]


def test_stats_count_what_is_there(toy, make_rows):
    rows = make_rows(0, 12)
    stats = stats_of(open_index(toy(rows)))
    assert stats.items == 12 and stats.captions == sum(bool(row.caption) for row in rows)
    assert stats.thumbnails == sum(bool(row.thumbnail) for row in rows)
    assert stats.sizes["embeddings"] == 12 * 8 * 2
