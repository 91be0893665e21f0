"""A run in shares: together they are the whole, and each has its own folder."""

import json

import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.benchmark.shard import Shard, list_keys, list_work, parse_shard
from reex_jax.errors import UserError
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment


def experiment(**changes):
    corruptions = Corruptions(image=("fog", "snow", "contrast"), text=("swap", "keyboard"))
    return Experiment(
        method=("none", "tent", "reex"), corruptions=corruptions, seeds=(0, 1, 2)
    ).replaced(changes)


@pytest.mark.parametrize("of", [1, 2, 3, 8, 40, 400])
@pytest.mark.parametrize("protocol", ["reset", "continual", "mixed"])
def test_shares_are_the_whole_and_nothing_twice(of, protocol):
    whole = experiment(adapt={"stream": protocol})
    shares = [list_keys(whole, Shard(number, of)) for number in range(1, of + 1)]
    keys = list_keys(whole)
    assert len(keys) == 3 * 3 * (4 + 3)
    assert sorted(key for share in shares for key in share) == sorted(keys)
    for share in shares:
        assert share == [key for key in keys if key in share]  # in the order of the whole
    if protocol == "reset":
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_carries_over_stays_together():
    """A continual stream of one method, direction and seed is measured by one process."""
    whole = experiment(adapt={"stream": "continual"})
    for number in range(1, 5):
        share = list_keys(whole, Shard(number, 4))
        streams = {(m, d, seed) for m, d, kind, _, seed in share if kind != "clean"}
        for method, direction, seed in streams:
            kinds = whole.kinds(direction)
            assert all((method, direction, kind, 5, seed) in share for kind in kinds)


def test_every_share_has_some_of_every_method():
    for number in (1, 2):
        assert {key[:2] for key in list_keys(experiment(), Shard(number, 2))} == {
            (method, direction)
            for method in ("none", "tent", "reex")
            for direction in ("image_to_text", "text_to_image")
        }


@pytest.mark.parametrize(
    "text", ["3", "0/8", "9/8", "3/0", "a/b", "1/2/3", "-1/2", "٣/٨", "1 of 2"]
)
def test_other_shares_are_refused(text):
    with pytest.raises(UserError, match="write the number of the share and how many there are"):
        parse_shard(text)


def test_what_a_shard_says():
    assert parse_shard("") is None
    assert parse_shard("3/8") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8" and Shard(3, 8).suffix == "-shard-3-of-8"


def test_repaired_queries_are_methods_of_their_own():
    both = experiment(gsr={"rewriter": "channel", "compare": True})
    names = [(name, direction) for name, direction, _ in list_work(both)]
    assert names == [
        *((m, d) for m in both.method for d in ("image_to_text", "text_to_image")),
        *((f"{m} + repair", "text_to_image") for m in both.method),
    ]
    assert both.behind("tent + repair").method == "tent"
    assert both.fuses("tent + repair", "text_to_image")
    assert not both.fuses("tent", "text_to_image")
    alone = experiment(gsr={"rewriter": "channel"})
    assert alone.fuses("tent", "text_to_image") and not alone.fuses("tent", "image_to_text")
    assert alone.measured("text_to_image") == alone.method
    with pytest.raises(UserError, match=r"gsr\.compare is True, but gsr\.rewriter is off"):
        experiment(gsr={"compare": True})
    with pytest.raises(UserError, match="ends like rows of repaired queries"):
        experiment(variants=({"name": "x + repair", "method": "tent", "changes": {}},))


def test_shares_have_the_numbers_of_the_whole(small_config, numbers, tmp_path, measured):
    config = small_config(tmp_path)
    _, whole = run_benchmark(config)
    measured.clear()
    rows = []
    for number in (1, 2):
        folder, own = run_benchmark(config, shard=Shard(number, 2))
        assert folder.path.name.endswith(f"-shard-{number}-of-2")
        environment = json.loads((folder.path / "environment.json").read_text())
        assert environment["shard"] == f"{number}/2"
        rows += own
    assert len(measured) == len(whole)

    def in_order(rows):
        return sorted(numbers(rows), key=lambda row: (row["direction"], row["corruption"]))

    assert in_order(rows) == in_order(whole)
    measured.clear()
    assert run_benchmark(config, shard=Shard(2, 2))[1] == own  # goes on: nothing is left to do
    assert measured == []
