"""The example of docs/extending.md, as it stands there."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from reex_jax import Adapter
from reex_jax.adaptation.make_method import settings_class
from reex_jax.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's two blocks of code; the first is importable as `margin`."""
    module, use = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "margin.py").write_text(module, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield module, use
    sys.modules.pop("margin", None)


def margins(scores):
    best = np.sort(scores, axis=1)
    return best[:, -1] - best[:, -2]


def test_the_example_adapts_and_learns(example, tiny, golden):
    assert len([line for line in example[0].splitlines() if line]) <= 40
    own = settings_class("margin:margin")().to_dict()
    assert own == {"learning_rate": 3e-4, "momentum": 0.9, "floor": 0.0}
    adapter = Adapter(
        tiny,
        golden["image_embeds"],
        query="text",
        method="margin:margin",
        floor=0.01,
        batch_size=8,
        steps=3,
        learning_rate=1e-2,
    )
    tokens = golden["tokens"].astype(np.int32)
    plain = golden["text_embeds"][:8] @ golden["image_embeds"].T
    trusted = margins(plain) >= 0.01
    assert trusted.any()
    result = adapter.search(tokens[:8], k=2)
    assert 0 < result.diagnostics["confident"] < 1 and result.diagnostics["skipped"] == 0
    after = adapter.similarities(tokens[:8])
    assert margins(after)[trusted].mean() > margins(plain)[trusted].mean()
    assert adapter.state.objective > 0.01 and adapter.state.batches == 2


def test_its_settings_are_checked(example, tiny, golden):
    for settings, message in (
        ({"momentun": 0.5}, r"method 'margin:margin': 'momentun'; did you mean 'momentum'\?"),
        ({"momentum": 2}, r"momentum is 2; it must be a number in 0\.\.1"),
    ):
        with pytest.raises(UserError, match=message):
            Adapter(tiny, golden["image_embeds"], query="text", method="margin:margin", **settings)


def test_its_use_runs(example):
    names: dict = {}
    exec(example[1], names)
    assert names["adapter"].state.batches == 0
