"""Which kinds there are, and what holds for every kind and any caption."""

import hashlib
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.corruptions.text import kinds as text
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.errors import UserError

EVERY = [(kind, s) for kind, value in TEXT_CORRUPTIONS.items() for s in range(value.severities + 1)]
# Letters, digits and signs that the kinds look for, and some that none of them knows.
PIECES = st.sampled_from(
    [
        *"aeiouxzlsOB058@.,!' \t\n-_",
        "dog",
        "Small",
        "RED",
        "star,",
        "é",
        "ß",
        "犬",
        "🐕",
        "👩‍👩‍👧",
        "\u0301",
    ]
)


def corrupt(caption, kind, severity, item_id="item"):
    return corrupt_text(caption, kind, severity, item_id=item_id, seed=0)


def test_the_benchmark_has_sixteen_kinds_and_none_that_is_held_out():
    assert (*text.CHARACTER_KINDS, *text.WORD_KINDS, *text.SENTENCE_KINDS) == text.TEXT_BENCHMARK
    assert [len(text.CHARACTER_KINDS), len(text.WORD_KINDS), len(text.SENTENCE_KINDS)] == [6, 5, 5]
    assert not set(text.HELD_OUT_KINDS) & set(text.TEXT_BENCHMARK)
    assert set(text.TEXT_SEVERITIES) == {*text.TEXT_BENCHMARK, *text.HELD_OUT_KINDS}
    for kind, highest in text.TEXT_SEVERITIES.items():
        sort = 7 if kind in (*text.CHARACTER_KINDS, "vowel_drop") else 5
        assert highest == (1 if kind in text.SENTENCE_KINDS else sort)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(EVERY), st.lists(PIECES, min_size=1, max_size=30), st.integers())
def test_captions_of_signs_emoji_and_words(kind_and_severity, pieces, number):
    kind, severity = kind_and_severity
    caption = "".join(pieces)
    if not caption.strip():
        return
    corrupted = corrupt(caption, kind, severity, str(number))
    assert corrupted.strip()
    corrupted.encode()  # no half of a character
    if severity == 0:
        assert corrupted == caption
    if kind in ("vowel_drop", "ocr"):
        assert len(corrupted.split()) == len(caption.split())


@pytest.mark.parametrize("kind", TEXT_CORRUPTIONS)
def test_a_very_long_caption_takes_no_more_than_a_second(kind):
    caption = "a small brown dog jumps over three wooden benches " * 1000
    corrupt("a small dog", kind, 5)  # reads WordNet or the word list, once
    began = time.process_time()
    corrupted = corrupt(caption, kind, 5)
    assert time.process_time() - began < 1
    assert corrupted != caption and len(corrupted) > len(caption) // 4


@pytest.mark.parametrize("kind", TEXT_CORRUPTIONS)
@pytest.mark.parametrize(
    "caption", ["a", "É", "0", "?", "🐕", "🐕 🐕", "... !!!", "犬が 走る", "ñ"]
)
def test_captions_without_a_word_to_touch(kind, caption):
    for severity in range(1, TEXT_CORRUPTIONS[kind].severities + 1):
        corrupted = corrupt(caption, kind, severity)
        assert corrupted.strip()
        if kind in ("synonym_replacement", "word_insertion", *text.HELD_OUT_KINDS):
            assert corrupted == caption


SCRIPT = """
import hashlib
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
caption = "A small brown dog jumps over three wooden benches, next to the garden."
digest = hashlib.sha256()
for kind, value in TEXT_CORRUPTIONS.items():
    for number in range(20):
        digest.update(corrupt_text(caption, kind, 5, item_id=str(number), seed=3).encode())
print(digest.hexdigest())
"""


def test_other_processes_and_orders_of_sets_give_the_same_bytes():
    here = hashlib.sha256()
    caption = "A small brown dog jumps over three wooden benches, next to the garden."
    for kind in TEXT_CORRUPTIONS:
        for number in range(20):
            one = corrupt_text(caption, kind, 5, item_id=str(number), seed=3)
            here.update(one.encode())
    for hash_seed in ("1", "2"):
        answer = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.strip() == here.hexdigest()


@pytest.mark.parametrize("kind", text.SENTENCE_KINDS)
def test_sentence_kinds_need_rewritten_captions(kind):
    assert corrupt("a dog", kind, 0) == "a dog"
    with pytest.raises(UserError, match=f"^{kind} needs captions rewritten before the run; make "):
        corrupt("a dog", kind, 1)
    with pytest.raises(UserError, match="choose an integer from 1 to 1 "):
        corrupt("a dog", kind, 2)
