"""Plans against what XLA says of galleries that were compiled."""

import numpy as np
import pytest

from reex_jax.adaptation import planning
from reex_jax.adaptation.planning import arguments_of, make_plan, small_adapter, sum_of_bytes
from reex_jax.commands.plan import described
from reex_jax.errors import UserError
from reex_jax.settings.planning import Planning


@pytest.fixture(scope="module")
def steps():
    """(settings, items) -> the small steps that were compiled; each is compiled once."""
    return {}


@pytest.fixture
def plan(tiny, steps, monkeypatch):
    compile_step = planning.small_step

    def small_step(model, settings, items):
        key = (settings.storage, settings.method, items)
        if key not in steps:
            steps[key] = compile_step(model, settings, items)
        return steps[key]

    monkeypatch.setattr(planning, "small_step", small_step)
    base = {"method": "none", "batch_size": 8, "steps": 1}
    return lambda **changes: make_plan(tiny, Planning(**base | changes))


@pytest.mark.parametrize("storage", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_a_plan_is_what_xla_says(plan, tiny, storage):
    """Beyond both sizes that it was made from; the correction of ranking is no part of the step."""
    settings = Planning(
        method="reex", batch_size=8, steps=1, items=150_000, storage=storage, query="image"
    )
    found = plan(**settings.to_dict() | {"checkpoint": "bundled"})
    adapter = small_adapter(tiny, settings, settings.items)
    arguments = arguments_of(adapter, tiny, settings)
    needed = adapter.program[0].lower(*arguments).compile().memory_analysis()
    whole = needed.argument_size_in_bytes + needed.temp_size_in_bytes
    whole += needed.output_size_in_bytes - needed.alias_size_in_bytes
    correction = 4 * settings.items
    np.testing.assert_allclose(found.total, whole + correction, rtol=0.2)
    assert found.gallery == sum_of_bytes(adapter.program[1].gallery)


def test_ten_and_fifty_million_items_fit(plan):
    """10 million x 512 in half precision on 8 devices, 50 million on one of 80 GB."""
    half = {"storage": "bfloat16", "width": 512}
    eight = plan(items=10_000_000, layout="split", devices=8, device_gb=16.0, **half)
    assert eight.fits and eight.gallery == 1_280_000_000
    assert plan(items=50_000_000, **half).fits
    assert not plan(items=50_000_000, width=512).fits
    assert not plan(items=80_000_000, **half).fits


def test_what_it_prints(plan):
    settings = Planning(items=200_000_000, batch_size=8, steps=1, method="none")
    page = described(plan(items=200_000_000), settings, 32)
    assert "200,000,000 items x 32 in float32, copied; none, image queries" in page
    assert "gallery     25.600 GB  its rows" in page and "of 80.000 GB" in page
    tight = plan(items=1_000_000_000)
    page = described(tight, Planning(items=1_000_000_000), 32)
    assert "it does not fit: take storage=bfloat16" in page


def test_devices_that_cannot_share_a_batch(tiny):
    with pytest.raises(UserError, match=r"plan\.batch_size 8 is not divisible by plan\.devices 3"):
        make_plan(tiny, Planning(batch_size=8, devices=3))
