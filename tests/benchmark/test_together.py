"""Passes side by side give the rows that they give one after the other."""

import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.errors import UserError

NAMES = ("loss", "confident")
EXACT = ("method", "direction", "corruption", "severity", "seed", "num_queries", "skipped")


def rows_of(config, results, numbers, layout, **changes):
    adapt = {"layout": layout} | changes.pop("adapt", {})
    return numbers(run_benchmark(config(results / layout, adapt=adapt, **changes))[1])


@pytest.mark.parametrize(
    "protocol, streams, direction", [("reset", 2, "image_to_text"), ("mixed", 0, "text_to_image")]
)
def test_rows_are_the_same(small_config, tmp_path, numbers, protocol, streams, direction):
    changes = {
        "directions": (direction,),
        "method": ("tent",),
        "corruptions": {"image": ("gaussian_noise", "contrast"), "text": ("keyboard", "swap")},
    }
    one = {"stream": protocol}
    wanted = rows_of(small_config, tmp_path, numbers, "queries", adapt=one, **changes)
    found = rows_of(
        small_config, tmp_path, numbers, "streams", adapt=one | {"streams": streams}, **changes
    )
    assert len(found) == len(wanted) == 3
    for own, expected in zip(found, wanted, strict=True):
        assert list(own) == list(expected)
        assert [own[name] for name in EXACT] == [expected[name] for name in EXACT]
        for name in NAMES:
            assert own[name] == pytest.approx(expected[name], rel=1e-4)
        for name, value in expected.items():
            # Scores of equal captions tie, and their last bits decide: one query may move.
            if name.endswith(("recall@1", "recall@5", "recall@10", "mAP")):
                assert own[name] == pytest.approx(value, abs=101 / own["num_queries"]), name


def test_what_cannot_be_is_refused(small_config, tmp_path):
    with pytest.raises(UserError, match="is 'streams', but with"):
        small_config(tmp_path, adapt={"layout": "streams", "stream": "continual"})
    with pytest.raises(UserError, match=r"adapt\.streams is 3, but adapt\.layout is 'queries'"):
        small_config(tmp_path, adapt={"streams": 3})
    split = {"layout": "split"}
    with pytest.raises(UserError, match=r"every device searches all rows .*take gallery\.layout"):
        run_benchmark(small_config(tmp_path, adapt={"layout": "streams"}, gallery=split))
    config = small_config(tmp_path, adapt={"layout": "streams", "devices": 99})
    with pytest.raises(UserError, match="devices is 99, but this machine has"):
        run_benchmark(config)
