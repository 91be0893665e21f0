"""How much each kind changes: shares against the definition, and growth with severity."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from symspellpy.editdistance import DistanceAlgorithm, EditDistance

from reex_jax.corruptions.text.held_out import neighbours
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.corruptions.text.ocr import OCR_CONFUSIONS
from reex_jax.corruptions.text.synonyms import synonyms
from reex_jax.datasets import scenes

# WordNet's synonyms of these are single words, so that places stay comparable.
WITH_SYNONYMS = ["seven", "tiny", "rabbit", "huge", "kitten", "rocky"]
WITH_SYNONYMS += ["meadow", "sleepy", "puppy", "yellow", "sofa"]
ENGLISH = "Seven tiny rabbit and huge kitten near the rocky meadow, sleepy puppy on a yellow sofa."
distance = EditDistance(DistanceAlgorithm.LEVENSHTEIN).compare
SCENES = [caption for i in range(40) for caption in scenes.caption_set("test", 0, i)]


def corrupt(caption, kind, severity, item_id):
    return corrupt_text(caption, kind, severity, item_id=item_id, seed=0)


@pytest.mark.parametrize("kind", TEXT_CORRUPTIONS)
def test_the_damage_grows_with_severity(kind):
    means = [
        np.mean(
            [
                distance(caption, corrupt(caption, kind, severity, f"{n}"), 10**6) / len(caption)
                for n, caption in enumerate(SCENES)
            ]
        )
        for severity in range(TEXT_CORRUPTIONS[kind].severities + 1)
    ]
    assert means[0] == 0
    # A step of one tenth of the touchable words is far above the noise of 200 captions.
    assert all(low < high for low, high in itertools.pairwise(means)), means


def expect(touched, available, severity):
    """The mean count is max(1, available * severity / 10); each is off by less than one."""
    wanted = np.mean([max(1.0, count * severity / 10) for count in available])
    assert abs(np.mean(touched) - wanted) < 5 * 0.5 / np.sqrt(len(touched))


def changed_words(before, after):
    pairs = list(zip(before.split(), after.split(), strict=True))
    return [(a, b) for a, b in pairs if a != b]


@pytest.mark.parametrize("severity", [1, 3, 5, 7])
def test_ocr_errors(severity):
    touched, available = [], []
    for number, caption in enumerate(SCENES):
        words = re.findall(r"\w{4,}", caption)
        available.append(sum(any(c in OCR_CONFUSIONS for c in word) for word in words))
        after = corrupt(caption, "ocr", severity, f"{number}")
        assert len(after) == len(caption)
        edits = [(a, b) for a, b in zip(caption, after, strict=True) if a != b]
        assert all(b in OCR_CONFUSIONS[a] for a, b in edits)
        runs = zip(re.finditer(r"\w+", caption), re.finditer(r"[\w@&]+", after), strict=True)
        changed = [(a[0], b[0]) for a, b in runs if a[0] != b[0]]
        for a, b in changed:
            most = sum(c in OCR_CONFUSIONS for c in a)
            count = sum(x != y for x, y in zip(a, b, strict=True))
            assert len(a) >= 4 and count == min(max(3 * len(a) // 10, 1), most)
        touched.append(len(changed))
    expect(touched, available, severity)


def test_ocr_confusions_go_both_ways():
    assert (
        OCR_CONFUSIONS["0"] == "89DOo" and OCR_CONFUSIONS["l"] == "1" and "x" not in OCR_CONFUSIONS
    )
    for character, others in OCR_CONFUSIONS.items():
        assert character not in others
        assert all(character in OCR_CONFUSIONS[other] for other in others)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_synonym_replacement(severity):
    touched = []
    for number in range(400):
        changed = changed_words(
            ENGLISH, corrupt(ENGLISH, "synonym_replacement", severity, f"{number}")
        )
        for a, b in changed:
            assert b.strip(",.").lower() in synonyms(a.strip(",.").lower())
            assert b[-1] in ",." if a[-1] in ",." else b[-1].isalpha()  # signs stay
            assert b[0].isupper() == a[0].isupper()
        touched.append(len(changed))
    expect(touched, [len(WITH_SYNONYMS)], severity)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_word_insertion(severity):
    allowed = {synonym for word in WITH_SYNONYMS for synonym in synonyms(word)}
    touched, first, last = [], [], []
    for number in range(400):
        after = corrupt(ENGLISH, "word_insertion", severity, f"{number}").split()
        remaining = iter(after)
        assert all(word in remaining for word in ENGLISH.split())  # all there, in order
        new = Counter(after) - Counter(ENGLISH.split())
        assert set(new) <= allowed
        touched.append(new.total())
        first.append(after[0] != "Seven")
        last.append(after[-1] != "sofa.")
    expect(touched, [len(WITH_SYNONYMS)], severity)
    # Every place is as likely: k new words take an end from 16 old ones in k of 16 + k cases.
    wanted = np.mean([count / (16 + count) for count in touched])
    for end in (first, last):
        assert abs(np.mean(end) - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / len(end))


def test_synonyms_of_several_words_and_of_words_in_capitals():
    texts = [corrupt("A RED Coat", "synonym_replacement", 1, f"{n}") for n in range(100)]
    assert "A RED INK Coat" in texts
    for text in texts:  # one of the two words was replaced, in its own case
        red, coat = text.removesuffix(" Coat"), text.removeprefix("A RED ")
        assert (red != text and red.isupper()) or (coat[0].isupper() and coat[1:].islower())


def test_words_of_grammar_and_unknown_words_have_no_synonyms():
    for caption in ("he is in it", "  qxv\tzzgh ", "a", "wooden"):
        for kind in ("synonym_replacement", "word_insertion"):
            assert corrupt(caption, kind, 5, "x") == caption


@pytest.mark.parametrize("severity", [1, 3, 5, 7])
def test_vowel_drop(severity):
    touched, available = [], []
    for number, caption in enumerate(SCENES):
        words = re.findall(r"\w{4,}", caption)
        available.append(sum(bool(re.search(r"\B[aeiou]", word)) for word in words))
        after = corrupt(caption, "vowel_drop", severity, f"{number}")
        runs = zip(re.findall(r"\w+", caption), re.findall(r"\w+", after), strict=True)
        changed = [(a, b) for a, b in runs if a != b]
        assert all(b == a[0] + re.sub("[aeiou]", "", a[1:]) for a, b in changed)
        touched.append(len(changed))
    expect(touched, available, severity)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_wrong_autocorrection(severity):
    caption = "A large star left of the small red ring, with a blue circle on it."
    content = ("large", "star", "left", "small", "red", "ring", "blue", "circle")
    assert all(map(neighbours, content))
    touched = []
    for number in range(400):
        changed = changed_words(
            caption, corrupt(caption, "wrong_autocorrection", severity, f"{number}")
        )
        for a, b in changed:
            assert a.strip(",") in content and b.strip(",") in neighbours(a.strip(","))
            assert distance(a, b, 9) <= 2 and b.endswith(",") == a.endswith(",")
        touched.append(len(changed))
    expect(touched, [len(content)], severity)


def test_neighbours_are_known_words_one_edit_away():
    assert neighbours("circle") == ("circles", "circled")
    assert neighbours("large") == ("larger", "largo", "barge", "sarge", "marge")
    assert neighbours("hte")[0] == "the"  # two swapped letters
    assert neighbours("xqzjk") == ()
    for word in ("small", "table", "dogs"):
        assert 0 < len(neighbours(word)) <= 5 and word not in neighbours(word)
