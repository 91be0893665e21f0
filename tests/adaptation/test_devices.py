"""Every method gives the same on one device and on eight, and whatever the padding."""

import jax
import numpy as np
import pytest

import reex_jax.adaptation.adapter as adapter_module
from reex_jax import Adapter
from reex_jax.settings.methods import METHODS

# So chosen that each method has something to learn from the toy.
SETTINGS = {
    "tent": {"relative_temperature": 2.0},
    "read": {"relative_temperature": 2.0},
    "shot": {"relative_temperature": 2.0, "pseudo_label_above": 0.5},
    "eata": {
        "relative_temperature": 2.0,
        "entropy_share": 1.0,
        "redundancy": 1.0,
        "fisher_weight": 10.0,
    },
    "deyo": {"relative_temperature": 2.0, "entropy_share": 1.0, "drop_above": 0.0},
    "sar": {"relative_temperature": 4.0},
    "rest": {"relative_temperature": 2.0},
    "tcr": {"relative_temperature": 2.0},
    "reex": {"k": 3, "p": 2, "adam_eps": 1e-4},
    "reex, random": {"k": 3, "strategy": "random_m", "m": 2, "adam_eps": 1e-4},
    "reex, gallery": {
        "k": 3,
        "pool": "gallery",
        "strategy": "random_m",
        "m": 5,
        "adam_eps": 1e-4,
        "quantile": 0.5,
    },
}


def assert_same_state(one, other):
    """Rows beyond the real ones hold nothing, so the whole state must agree."""
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=jax.tree_util.keystr(path))


LONG = ("reex, gallery",)  # close kin of one that is always run


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in [*SETTINGS, "none"]
    ]
)
def make(request, toy_stream):
    """(rows, devices) -> a stream of the method under test."""
    assert set(METHODS) <= {name.split(",")[0] for name in [*SETTINGS, "none"]}
    method, own = request.param.split(",")[0], SETTINGS.get(request.param, {})
    return lambda rows, devices: toy_stream(method, rows=rows, devices=devices, steps=2, **own)


def test_padding_and_devices_change_nothing(make, toy_queries):
    """Batches of 5 in 5, 16 and 64 rows, the last on eight devices; then batches of 16."""
    exact, padded, spread = make(5, 1), make(16, 1), make(64, 8)
    gallery = np.asarray(exact.constants.gallery)
    start = exact.state
    for seed, count in ((1, 5), (2, 5), (3, 4)):
        queries = toy_queries(seed, count)
        wanted, diagnostics = exact(queries)
        for stream in (padded, spread):
            found, others = stream(queries)
            np.testing.assert_allclose(found @ gallery.T, wanted @ gallery.T, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(others, diagnostics, rtol=1e-4, atol=1e-6)
    assert_same_state(padded.state, exact.state)
    assert_same_state(spread.state, exact.state)
    moved = np.abs(exact.state.parameters["scale"] - start.parameters["scale"]).max()
    assert (moved > 1e-3) == exact.objective.learns
    for seed in (4, 5):
        queries = toy_queries(seed, 16)
        wanted, found = padded(queries)[0], spread(queries)[0]
        np.testing.assert_allclose(found @ gallery.T, wanted @ gallery.T, rtol=1e-5, atol=1e-5)
    assert_same_state(spread.state, padded.state)


REAL = [
    pytest.param(
        method, query, marks=[pytest.mark.slow] if (method, query) != ("reex", "text") else []
    )
    for method in [*SETTINGS, "none"]
    for query in ("image", "text")
]


@pytest.mark.parametrize("method, query", REAL)
def test_the_real_encoders_agree_on_one_device_and_eight(method, query, tiny, golden, monkeypatch):
    """Three batches, the last one ragged; eight devices hold 64 rows, most of them padding."""
    if query == "image":
        queries, gallery = golden["images"].transpose(0, 2, 3, 1), golden["text_embeds"]
    else:
        queries, gallery = golden["tokens"].astype(np.int32), golden["image_embeds"]
    settings = {"query": query, "method": method.split(",")[0], "batch_size": 64, "steps": 2}
    settings |= {"learning_rate": 1e-3} | SETTINGS.get(method, {})
    scores = []
    for rows, devices in ((16, 1), (64, 8)):
        monkeypatch.setattr(adapter_module, "padded_rows", lambda *_, rows=rows: rows)
        adapter = Adapter(tiny, gallery, devices=devices, **settings)
        batches = (queries[:16], queries[16:32], queries[32:37])
        scores.append(np.concatenate([adapter.similarities(batch) for batch in batches]))
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5, atol=1e-5)
    source = golden["image_embeds" if query == "image" else "text_embeds"]
    unmoved = np.abs(scores[0] - source[:37] @ gallery.T).max() < 1e-4
    assert unmoved == (method == "none")
