"""What an adapter refuses, and in which words. Nothing is compiled or adapted for it."""

import re

import numpy as np
import pytest
from PIL import Image

from reex_jax import Adapter
from reex_jax.errors import UserError


@pytest.fixture(scope="module")
def make(tiny, golden):
    """(**changes) -> an adapter for text queries, of batches up to 4."""

    def adapter(gallery=None, **changes):
        settings = {"query": "text", "batch_size": 4} | changes
        return Adapter(tiny, golden["image_embeds"] if gallery is None else gallery, **settings)

    return adapter


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


def broken_gallery(what):
    rows = np.eye(5, 32, dtype=np.float32)
    if what == "empty":
        return rows[:0]
    if what == "narrow":
        return rows[:, :16]
    if what == "flat":
        return rows[0]
    rows[2] = {"nan": np.nan, "infinite": np.inf, "zero": 0, "long": 3}[what]
    return rows


@pytest.mark.parametrize(
    "what, message",
    [
        ("empty", r"shape \[0, 32\]; they must be \[N, d\] with at least one item"),
        ("flat", r"shape \[32\]; they must be"),
        ("narrow", r"are 16 wide, but the model's queries are 32 wide; embed .* same checkpoint"),
        ("nan", r"not finite vectors of length 1, the first is row 2"),
        ("infinite", r"the first is row 2 \(length inf\)"),
        ("zero", r"the first is row 2 \(length 0\)"),
        ("long", r"the first is row 2 \(length 16\.97\)"),
    ],
)
def test_galleries_that_are_none_are_refused(make, what, message):
    with pytest.raises(UserError, match=message):
        make(broken_gallery(what))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "reexx"}, r"unknown method 'reexx'; did you mean 'reex'\? allowed: deyo, eata"),
        ({"method": None}, r"unknown method None;"),
        (
            {"method": "no_such_module:f"},
            r"'no_such_module:f' cannot be loaded .No module named",
        ),
        (
            {"method": "json:no"},
            r"cannot be loaded .module 'json' has no attribute 'no'.; name",
        ),
        ({"method": "math:pi"}, r"method 'math:pi' cannot be loaded .it is a float, no function"),
        ({"method": "builtins:dict"}, r"'builtins:dict': its first parameter must be"),
        ({"method": "os:getcwd"}, r"'os:getcwd': its first parameter must be annotated with the"),
        ({"method": "json:dumps"}, r"'json:dumps': its first .* a subclass of reex_jax\.settings"),
        ({"learning_rat": 1}, r"of method 'reex': 'learning_rat'; did you mean 'learning_rate'\?"),
        ({"quantil": 1}, r"setting of method 'reex': 'quantil'; did you mean 'quantile'\?"),
        ({"method": "tent", "k": 3}, r"unknown setting of method 'tent': 'k';"),
        ({"query": "images"}, r"unknown value of query: 'images'; did you mean 'image'\?"),
        ({"parameters": "norms"}, r"unknown value of parameters: 'norms'"),
        ({"score": "last"}, r"unknown value of score: 'last'"),
        ({"devices": 99}, r"devices is 99, but this machine has 8; 0 takes all"),
        ({"devices": 8}, r"batch_size 4 is not divisible by 8 devices; take 8, or another"),
        ({"devices": 3, "batch_size": 64}, r"batch_size 64 is not divisible by 3 .* take 66"),
    ],
)
def test_impossible_adapters_are_refused(make, changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)


@pytest.mark.parametrize("devices", [0, 2])
def test_devices_that_divide_are_taken(make, devices):
    adapter = make(method="none", devices=devices, batch_size=8)
    assert len(adapter._devices) == (devices or 8)


@pytest.mark.parametrize("k", [0, -1, 97, 2.0, True, "3", None, np.int64(97)])
def test_k_outside_the_gallery_is_refused_before_anything_adapts(make, tokens, k):
    adapter = make()
    with pytest.raises(
        UserError, match=rf"k is {re.escape(repr(k))}, but must lie in 1\.\.96, the gallery's"
    ):
        adapter.search(tokens[:4], k=k)
    with pytest.raises(UserError, match="the gallery's size"):
        adapter.rank(np.ones((1, 32), np.float32), k=k)
    assert adapter.state.batches == 0


def test_impossible_batches_are_refused_before_anything_adapts(make, tokens, pixels):
    adapter = make()
    for queries, message in (
        (tokens[:0], r"a batch of 0 queries; give 1 to batch_size = 4"),
        ([], r"a batch of 0 queries; give at least one"),
        (iter([]), r"a batch of 0 queries; give at least one"),
        (tokens[:5], r"a batch of 5 queries; give 1 to batch_size = 4"),
        (tokens[0], r"token ids have shape \[16\]"),
        (pixels[:4], r"token ids have shape \[4, 24, 24, 3\]"),
        (tokens[:4] + 250, r"token ids of text 0 range from"),
        (tokens[:4].astype(np.float32), r"token ids are float32, but must be integers"),
        ("a red circle", r"captions must be a list, not one string; write \['a red circle'\]"),
        (["a red circle"], r"holds no tokenizer; .* use encode_tokens"),
        (5, r"queries must be a list or an array, not one int; write \[query\]"),
        (Image.new("RGB", (4, 4)), r"not one Image; write \[query\]"),
    ):
        with pytest.raises(UserError, match=message):
            adapter.search(queries, k=3)
    assert adapter.state.batches == 0


@pytest.fixture(scope="module")
def pixels(golden):
    return golden["images"].transpose(0, 2, 3, 1)


def test_images_that_are_none_are_refused(make, golden, tokens, pixels):
    adapter = make(golden["text_embeds"], query="image")
    one = Image.new("RGB", (30, 30))
    broken = pixels[:2].copy()
    broken[1, 0, 0, 0] = np.nan
    for queries, message in (
        (one, r"not one Image; write \[query\]"),
        ([one, "a.jpg"], r"1"),
        ("a.jpg", r"0"),
        ([], r"a batch of 0 queries"),
        ([one] * 5, r"a batch of 5 queries"),
        (tokens[:2], r"pixels have shape \[2, 16\], but this model takes \[n, 24, 24, 3\]"),
        (pixels[:2].astype(np.float64), r"pixels are float64"),
        (broken, r"pixels of image 1 hold NaN"),
    ):
        with pytest.raises(UserError, match=message):
            adapter.similarities(queries)
    assert adapter.state.batches == 0
