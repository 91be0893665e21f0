"""Which words of a query are known, and where they stand."""

import pytest

from reex_jax.gsr.dictionary import known_words
from reex_jax.gsr.words import split_pieces

WORDS = known_words()


def unknown(text: str) -> list[str]:
    return [text[p.start : p.end] for p in split_pieces(text, WORDS) if not p.known]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red ring, also a (blue) star.", []),
        ("a five-pointed star isn't the man 's \"donut\"", []),
        ("colorful pajamas, a gray airplane, and checkered theaters", []),  # the list is British
        ("an unpatterned, multicolored box", []),
        ("3 dogs at 10:30, the 2nd for $5", []),
        ("a café in a 城市 of собака", []),  # accents are folded; other scripts: no evidence
        ("a rde r1ng", ["rde", "r1ng"]),
        ("#box !dog d@g", ["#box", "!dog", "d@g"]),
        ("a five-po8nted star", ["po8nted"]),
        ("a Jrown ring", ["Jrown"]),
        ("a ; red ! ring . and : dog", [";", "!", ".", ":"]),
        (": You see", [":"]),
        ("a dog runs .", []),  # as the captions of Flickr8k end
        ("a dog , a cat . A man - here", []),
        ("", []),
        ("...", []),
    ],
)
def test_unknown_pieces(text, expected):
    assert unknown(text) == expected


def test_pieces_say_where_they_are():
    text = '  "Red ring-shaped thing!"'
    pieces = split_pieces(text, WORDS)
    assert [text[p.start : p.end] for p in pieces] == ["Red", "ring", "shaped", "thing"]
    assert [p.word for p in pieces] == ["red", "ring", "shaped", "thing"]
