import hashlib
import tomllib
from pathlib import Path

import pytest

import reex_jax.corruptions.text
from reex_jax.corruptions.text.synonyms import synonyms
from reex_jax.corruptions.text.wordnet_files import EXCEPTIONS, SYNSETS
from reex_jax.errors import UserError
from tools import wordnet_extract

FOLDER = Path(reex_jax.corruptions.text.__file__).parent / "wordnet"

# Lines as WordNet has them: licence, pointers, syntactic markers, frames, explanations.
NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by
02828884 06 n 03 bench 0 work_bench 0 workbench 0 001 @ 04379243 n 0000 | a strong worktable
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 | a member of Canis
10287213 18 n 02 man 0 adult_male 0 001 @ 09605289 n 0000 | an adult person who is male
02691156 06 n 01 airplane 0 001 @ 03510583 n 0000 | an aircraft
10628644 18 n 02 brute 0 beast 1 001 @ 10407310 n 0000 | an insulting word for a person
00007846 03 n 02 20_questions 0 questioning 0 000 | no plain letters in the first
"""
ADJECTIVES = """\
01387319 00 s 02 galore(ip) 0 plenty 1 001 & 0 a 0000 | existing in abundance
01386883 00 a 0b one 0 two 0 three 0 four 0 five 0 six 0 seven 0 eight 0 nine 0 ten 0 zero 0 000 | x
"""


@pytest.fixture
def wordnet(tmp_path):
    for name, data in (("noun", NOUNS), ("verb", ""), ("adj", ADJECTIVES), ("adv", "")):
        (tmp_path / f"data.{name}").write_text(data, "latin-1")
        (tmp_path / f"{name}.exc").write_text("", "latin-1")
    (tmp_path / "noun.exc").write_text("men man\noxen ox\ndog dog\n")
    return tmp_path


def test_the_extract_keeps_synsets_of_lower_case_words(wordnet):
    synsets, exceptions = wordnet_extract.extract(wordnet)
    assert synsets.splitlines() == [
        "a eight,five,four,nine,one,seven,six,ten,three,two,zero",
        "a galore,plenty",
        "n adult male,man",
        "n bench,work bench,workbench",
        "n dog,domestic dog",
    ]
    assert exceptions == "n men man\n"


def test_a_folder_without_wordnet(tmp_path):
    with pytest.raises(UserError, match=r"data\.noun: cannot be read \(No such file.*/usr/share"):
        wordnet_extract.extract(tmp_path)


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        (SYNSETS, "296b401082a7d930263fca43f123adb9d8c9230278c52a0d90a584bb04a5a9a4"),
        (EXCEPTIONS, "3650c56a1788b3ea0834704f47a3ba85f2576e368722912a0455b3f28b8799f3"),
    ],
)
def test_the_extract_in_the_package_is_what_wordnet_3_0_gives(name, sha256):
    content = (FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert content.decode("ascii").splitlines() == sorted(set(content.decode("ascii").splitlines()))


def test_the_licence_goes_with_the_data_and_both_into_the_package():
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in (
        FOLDER / "LICENSE.txt"
    ).read_text("ascii")
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
    project = tomllib.loads((FOLDER.parents[3] / "pyproject.toml").read_text())
    assert "wordnet/*" in project["tool"]["setuptools"]["package-data"]["reex_jax.corruptions.text"]


def naive_synonyms(base_forms):
    """Everything that shares a line with one of (part of speech, base form), read line by line."""
    found = set()
    for line in (FOLDER / SYNSETS).read_text().splitlines():
        part, lemmas = line.split(" ", 1)
        for form in base_forms.get(part, ()):
            if form in lemmas.split(","):
                found |= set(lemmas.split(",")) - set(base_forms[part])
    return found


@pytest.mark.parametrize(
    ("word", "base_forms"),
    [
        ("bench", {"n": ["bench"], "v": ["bench"]}),
        ("men", {"n": ["men", "man"]}),  # irregular
        ("ponies", {"n": ["ponies", "pony"]}),
        ("leaves", {"n": ["leaves", "leaf", "leave"], "v": ["leaves", "leave"]}),
        ("riding", {"n": ["riding"], "v": ["riding", "ride", "rid"]}),
        ("sat", {"n": ["sat"], "v": ["sat", "sit"]}),
        ("bigger", {"a": ["bigger", "big"]}),
        ("larger", {"a": ["larger", "large"], "n": ["larger"]}),
        ("quickly", {"r": ["quickly"]}),
        ("glasses", {"n": ["glasses", "glass"], "v": ["glasses", "glass"]}),
    ],
)
def test_synonyms_of_every_base_form(word, base_forms):
    found = synonyms(word)
    assert found and set(found) == naive_synonyms(base_forms) - {word}
    assert list(found) == sorted(found)


def test_words_without_synonyms():
    assert synonyms("wooden") == synonyms("qxz") == synonyms("") == synonyms("don't") == ()
    assert synonyms("ocean") == ("sea",) and synonyms("oceans") == ("sea",)
