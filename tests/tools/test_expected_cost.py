from pathlib import Path

import pytest

from reex_jax.settings.tcr_tables import TABLES
from tools.expected_cost import PARTS, PASSES, Tower, cost_table, operations

PAGE = Path(__file__).parents[2] / "docs" / "reproduce.md"


def test_the_page_shows_what_the_arithmetic_gives():
    text = PAGE.read_text("utf-8")
    assert cost_table() in text
    assert "our column is not measured" in text
    assert f": {sum(PASSES.values())} passes for all eight methods" in text
    assert all(f"tcr_table.py:{name}" in text for name in TABLES if name not in ("large", "seeds"))


def test_operations_are_those_of_a_count_by_hand():
    # One layer, width 2, one token: queries, keys, values and output 4 * 2 * 2 * 2, the MLP
    # 2 * (2 * 2 * 8), scores and their weighted sum 2 * 2 * 1 * 1 * 2.
    assert Tower(1, 2, 1, 1).operations() == 32 + 64 + 8
    # 55.5 billion multiplications and additions are known for ViT-B/16 at 384 pixels.
    vit = PARTS["images (BLIP ViT-B/16)"].tower
    assert vit.operations() / 2 == pytest.approx(55.5e9, rel=0.02)
    assert operations(PARTS["clip, image queries"]) == pytest.approx(
        5000 * 52 * PARTS["clip, image queries"].tower.operations()
    )
