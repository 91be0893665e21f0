"""Counts of words and pairs, similar words, and captions of one's own."""

import math

import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.dictionary import count_captions, known_words, load_dictionary


def test_digest_names_the_counts(dictionary, tmp_path):
    assert dictionary.digest == load_dictionary().digest
    own = tmp_path / "captions.txt"
    own.write_text("a zorblat ring\na zorblat star\n", "utf-8")
    assert load_dictionary(str(own)).digest != dictionary.digest


def test_similar_words_are_the_nearest(dictionary):
    assert ("white", 1) in dictionary.similar("wdite")
    assert {distance for _, distance in dictionary.similar("wdite")} == {1}
    assert ("chocolate", 2) in dictionary.similar("ch0copate")
    assert dictionary.similar("xqzvkjw") == []


def test_probability_is_pair_and_word_mixed(dictionary):
    total = sum(dictionary.counts.values())
    united = sum(count for pair, count in dictionary.pairs.items() if pair.startswith("united "))
    united = max(united, dictionary.counts["united"])
    alone = dictionary.counts["states"] / total
    expected = math.log(0.7 * dictionary.pairs["united states"] / united + 0.3 * alone)
    assert dictionary.log_probability("states", "united") == pytest.approx(expected, rel=1e-12)
    assert dictionary.log_probability("states", "") == pytest.approx(math.log(alone), rel=1e-12)
    # A word or a pair that the lists lack is improbable, not impossible.
    assert dictionary.log_probability("xqzvkjw", "a") == pytest.approx(math.log(0.3 / total))
    rarest = min(dictionary.pairs.values())
    followers = sum(count for pair, count in dictionary.pairs.items() if pair.startswith("a "))
    assert "a hours" not in dictionary.pairs
    expected = math.log(rarest / followers)
    assert dictionary.log_probability("hours", "a") == pytest.approx(expected, rel=1e-12)


def test_own_captions_make_words_known_and_likely(dictionary, tmp_path):
    own = tmp_path / "captions.txt"
    own.write_text("a zorblat ring\nA zorblat, star\n", "utf-8")
    mine = load_dictionary(str(own))
    assert "zorblat" in mine.counts and "zorblat" not in dictionary.counts
    # Two of six words of the captions, which weigh a thirtieth of the list.
    assert mine.counts["zorblat"] == pytest.approx(sum(dictionary.counts.values()) / 30 / 3)
    assert mine.log_probability("ring", "zorblat") > dictionary.log_probability("ring", "zorblat")


def test_count_captions():
    words, pairs = count_captions(["A red ring, a red dog."])
    assert words == {"a": 2, "red": 2, "ring": 1, "dog": 1}
    assert pairs == {"a red": 2, "red ring": 1, "ring a": 1, "red dog": 1}


def test_captions_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"gsr\.captions names '.*none\.txt', which cannot be read"):
        load_dictionary(str(tmp_path / "none.txt"))
    (tmp_path / "empty.txt").write_text("\n", "utf-8")
    with pytest.raises(UserError, match="holds no word"):
        load_dictionary(str(tmp_path / "empty.txt"))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="cannot be read as UTF-8"):
        load_dictionary(str(tmp_path / "latin.txt"))


def test_forms_that_the_list_lacks():
    words = known_words()
    assert {"colorful", "traveling", "theater", "checkered", "donut", "gray"} <= words
    assert not {"caled", "heler", "flors"} & words  # the rules stop before these
