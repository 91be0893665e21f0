import hashlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.corruptions.text.keyboard import KEY_NEIGHBOURS
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.errors import UserError

# Kinds that may touch any word of the captions below; the others have files of their own.
CHARACTER_KINDS = ("keyboard", "insert", "replace", "swap", "delete")
WORD_KINDS = ("word_swap", "word_deletion", "punctuation_insertion")
EVERY = [(kind, s) for kind, value in TEXT_CORRUPTIONS.items() for s in range(value.severities + 1)]
CAPTION = "A small brown dog jumps over three wooden benches, next to the garden."

# SHA-256 over CAPTION under all severities, item "item", seed 0, a line each.
SHA256 = {
    "keyboard": "ff7e9e7e2d1a073a85ab0e38fa70e6895e796441a56a3157ce71514fd888177d",
    "insert": "44a7f18ff3168f0071a2249c93653091ff53fc4c112d5cf9d3294455122f3898",
    "replace": "e835d0781b45e11e372c63550d7d0fc1bfe0280db1a06531f154ed5444b08080",
    "swap": "95a6027625911a99823aff79dfb6bdb7a918342ee592742fce8ac9021ccc0235",
    "delete": "ae164d63af8df1534059d621d4b0df4ef2092d85b6b424fecf80aaa86e7c719c",
    "word_swap": "debb2caea570ef0d2b56e08a7d376e8b3970f8e13b38670d248e902d6a0d64a5",
    "word_deletion": "70d85363990ffcee26df61f43ce00bd49bad97205cfb34e8f6b91c41181f3080",
    "punctuation_insertion": "2967fe059fb7e731cb69d154ed91f7c80da9d889a11b990be7e133b954724ae5",
    "ocr": "8056f3b76f207b00f429f473ff6f965f31f05096d5a895b19fb3fd8d506259bd",
    "synonym_replacement": "7acb4a928d9639be5b224a347a600331d2cddc718993ed2ceaeea3525a5d89c9",
    "word_insertion": "12708f26a1755766aa1e4794992ff31021d909038cfce53ff744eb16d6227f2b",
    "vowel_drop": "07b6e9ecb5d02a5a8a141a65bf1c70d12cf86c6d9ba1f4854c5c8513e29a3b8f",
    "wrong_autocorrection": "1ed4d753d237fa743f9ae2cf0541ac0615c6a854be12ceea2525dffd36505f3e",
}


def corrupt(caption, kind, severity, item_id="item", seed=0):
    return corrupt_text(caption, kind, severity, item_id=item_id, seed=seed)


def captions(count):
    """Captions of 5 to 14 different words, each of 1 to 10 different letters or digits."""
    chance = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return [
        " ".join(
            "".join(chance.sample(letters, chance.randint(1, 10)))
            for _ in range(chance.randint(5, 14))
        )
        for _ in range(count)
    ]


def distance(left, right):
    """Levenshtein's edit distance of two sequences."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def expected_share(available, severity):
    return max(1.0, available * severity / 10)


def test_all_kinds_and_severities_are_there():
    assert {kind: value.severities for kind, value in TEXT_CORRUPTIONS.items()} == {
        **dict.fromkeys(("ocr", *CHARACTER_KINDS, "vowel_drop"), 7),
        **dict.fromkeys(("synonym_replacement", "word_insertion", *WORD_KINDS), 5),
        "wrong_autocorrection": 5,
    }


@pytest.mark.parametrize("kind", TEXT_CORRUPTIONS)
def test_text_is_fixed(kind):
    severities = range(1, TEXT_CORRUPTIONS[kind].severities + 1)
    text = "\n".join(corrupt(CAPTION, kind, severity) for severity in severities)
    assert hashlib.sha256(text.encode()).hexdigest() == SHA256[kind]


@pytest.mark.parametrize("severity", [1, 3, 5, 7])
@pytest.mark.parametrize("kind", CHARACTER_KINDS)
def test_character_kinds_touch_their_share_of_the_longer_words(kind, severity):
    touched, expected = [], []
    for number, caption in enumerate(captions(600)):
        before = caption.split()
        after = corrupt(caption, kind, severity, str(number)).split()
        assert len(after) == len(before)
        eligible = [word for word in before if len(word) >= 4]
        if not eligible:
            continue
        changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        for old, new in changed:
            assert len(old) >= 4
            assert_edits(kind, old, new, max(3 * len(old) // 10, 1))
        touched.append(len(changed))
        expected.append(expected_share(len(eligible), severity))
    # A count differs from its mean by less than one, so by 0.5 in the standard deviation.
    assert abs(np.mean(touched) - np.mean(expected)) < 5 * 0.5 / np.sqrt(len(touched))


def assert_edits(kind, old, new, count):
    """`count` places of a word of different letters were edited."""
    if kind in ("keyboard", "replace"):
        assert len(new) == len(old)
        assert sum(a != b for a, b in zip(old, new, strict=True)) == count
    elif kind == "insert":
        assert len(new) == len(old) + count
        assert distance(old, new) == count
    elif kind == "delete":
        assert len(new) == len(old) - count
        assert distance(old, new) == count
    else:
        assert sorted(new) == sorted(old)
        assert sum(a != b for a, b in zip(old, new, strict=True)) == 2 * count


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_word_kinds_touch_their_share_of_words(severity):
    counts = {kind: [] for kind in WORD_KINDS}
    expected = {kind: [] for kind in WORD_KINDS}
    for number, caption in enumerate(captions(800)):
        words = caption.split()
        if len(set(words)) < len(words):
            continue
        after = {k: corrupt(caption, k, severity, str(number)).split() for k in WORD_KINDS}

        assert sorted(after["word_swap"]) == sorted(words)
        moved = sum(a != b for a, b in zip(words, after["word_swap"], strict=True))
        counts["word_swap"].append(moved / 2)
        expected["word_swap"].append(max(1, len(words) * severity / 20))

        counts["word_deletion"].append(len(words) - len(after["word_deletion"]))
        remaining = iter(words)
        assert all(word in remaining for word in after["word_deletion"])  # the order is kept

        marks = [word for word in after["punctuation_insertion"] if word in ".,!?;:"]
        assert [w for w in after["punctuation_insertion"] if w not in ".,!?;:"] == words
        counts["punctuation_insertion"].append(len(marks))
        for kind in ("word_deletion", "punctuation_insertion"):
            expected[kind].append(expected_share(len(words), severity))
    for kind in WORD_KINDS:
        bound = 5 * 0.5 / np.sqrt(len(counts[kind]))
        assert abs(np.mean(counts[kind]) - np.mean(expected[kind])) < bound


def test_at_severity_5_half_of_the_longer_words_can_still_be_read():
    for number, caption in enumerate(captions(200)):
        before = caption.split()
        eligible = sum(len(word) >= 4 for word in before)
        for kind in CHARACTER_KINDS:
            after = corrupt(caption, kind, 5, str(number)).split()
            intact = sum(a == b for a, b in zip(before, after, strict=True) if len(a) >= 4)
            assert intact >= (eligible - 1) // 2


def test_keyboard_hits_a_neighbouring_key_and_keeps_the_case():
    text = "HELLO world Keyboard 2024 " * 3
    for number in range(50):
        for old, new in zip(text, corrupt(text, "keyboard", 7, str(number)), strict=True):
            assert new == old or new in KEY_NEIGHBOURS[old]
            assert not (new.isalpha() and old.isalpha()) or new.isupper() == old.isupper()


def test_key_neighbours_are_those_of_a_qwerty_keyboard():
    expected = {"g": "tyfhvb", "a": "qwsz", "q": "12wa", "m": "jkn", "p": "0ol", "1": "2q"}
    for key, neighbours in expected.items():
        assert sorted(KEY_NEIGHBOURS[key]) == sorted(neighbours)
    for key, neighbours in KEY_NEIGHBOURS.items():
        for other in neighbours:
            assert key.lower() in KEY_NEIGHBOURS[other].lower()


def test_what_stands_between_touched_words_stays():
    caption = '  (brown-dog)\t jumps...\n "over" it\'s  '
    for kind in CHARACTER_KINDS:
        corrupted = corrupt(caption, kind, 7)
        assert corrupted.startswith("  (")
        assert corrupted.endswith(" it's  ")
        assert ")\t " in corrupted
        assert '...\n "' in corrupted


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(
    kind_and_severity=st.sampled_from(EVERY),
    caption=st.text(min_size=1).filter(lambda text: text.strip()),
    number=st.integers(),
)
def test_any_unicode_caption_gives_text_that_is_not_empty(kind_and_severity, caption, number):
    kind, severity = kind_and_severity
    corrupted = corrupt(caption, kind, severity, str(number))
    assert corrupted.strip()
    assert corrupted == corrupt(caption, kind, severity, str(number))
    if severity == 0:
        assert corrupted == caption


@pytest.mark.parametrize("caption", ["a", "I", "7", "é", "犬", "🐕", "!", "ab", "aa", "一只狗在跑"])
def test_one_word_and_one_character(caption):
    for kind, severity in EVERY:
        for seed in range(5):
            corrupted = corrupt(caption, kind, severity, seed=seed)
            assert corrupted.strip()
            if kind in ("word_swap", "word_deletion") or severity == 0:
                assert corrupted == caption


def test_captions_of_short_words_are_touched_in_the_longest():
    corrupted = corrupt("a red cat", "delete", 1)
    assert len(corrupted) == len("a red cat") - 1
    assert corrupted.startswith("a ")


@pytest.mark.parametrize("kind", TEXT_CORRUPTIONS)
def test_order_does_not_matter_and_id_and_seed_do(kind):
    ids = [f"caption-{number}" for number in range(40)]
    forward = [corrupt(CAPTION, kind, 5, item_id) for item_id in ids]
    backward = [corrupt(CAPTION, kind, 5, item_id) for item_id in reversed(ids)]
    assert forward == backward[::-1]
    assert len(set(forward)) > 30
    assert forward != [corrupt(CAPTION, kind, 5, item_id, seed=1) for item_id in ids]


def test_global_random_states_are_left_alone():
    own, numpys = random.getstate(), np.random.get_state()[1].copy()
    for kind in TEXT_CORRUPTIONS:
        corrupt(CAPTION, kind, 3)
    assert random.getstate() == own
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)


def test_unknown_kind_names_the_nearest():
    with pytest.raises(UserError) as error:
        corrupt(CAPTION, "word_swop", 1)
    assert str(error.value).startswith(
        "unknown text corruption 'word_swop'; did you mean 'word_swap'? allowed: active, "
    )


@pytest.mark.parametrize(("kind", "severity", "highest"), [("swap", 8, 7), ("word_swap", 6, 5)])
def test_severities_that_do_not_exist(kind, severity, highest):
    with pytest.raises(UserError) as error:
        corrupt(CAPTION, kind, severity)
    assert str(error.value) == (
        f"{kind}: there is no severity {severity}; choose an integer from 1 to {highest} "
        "(0 leaves the item as it is)"
    )


@pytest.mark.parametrize(("caption", "shown"), [("", "''"), (" \n", r"' \n'"), (None, "None")])
def test_captions_without_text(caption, shown):
    with pytest.raises(UserError) as error:
        corrupt(caption, "swap", 1, item_id="7#2")
    assert str(error.value) == (
        f"caption '7#2' is {shown}; corruptions need a text that is not empty"
    )
