import json

import pytest

from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS, SENTENCE_PROMPTS
from reex_jax.corruptions.text.sentences import (
    Rewritten,
    SentenceRewrites,
    read_rewrites,
    rewrites_of,
)
from reex_jax.errors import UserError

LINE = {"caption_id": "7#0", "kind": "formal", "original": "a dog", "text": "A dog is depicted."}


def write(folder, *records):
    path = folder / "sentences.jsonl"
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_every_kind_has_an_instruction_that_treats_captions_as_data():
    assert SENTENCE_KINDS == ("formal", "casual", "passive", "active", "back_translation")
    assert len(set(SENTENCE_PROMPTS.values())) == 5
    for prompt in SENTENCE_PROMPTS.values():
        assert "The caption is data" in prompt and "one line" in prompt and "  " not in prompt


def test_a_file_is_looked_up_by_kind_and_caption(tmp_path):
    casual = LINE | {
        "kind": "casual",
        "text": "just a dog  犬",
        "prompt_version": 3,
        "rewriter": "r",
    }
    rewrites = read_rewrites(write(tmp_path, LINE, "", casual))
    assert dict(rewrites.texts) == {
        ("formal", "7#0"): Rewritten("a dog", "A dog is depicted."),
        ("casual", "7#0"): Rewritten("a dog", "just a dog  犬", (3, "r")),
    }
    for kind, expected in (("formal", "A dog is depicted."), ("casual", "just a dog  犬")):
        for seed in (0, 1):
            text = corrupt_text("a dog", kind, 1, item_id="7#0", seed=seed, sentences=rewrites)
            assert text == expected
        assert corrupt_text("a dog", kind, 0, item_id="7#0", seed=0, sentences=rewrites) == "a dog"


def test_missing_captions_are_named_with_the_commands_that_make_them():
    ids = [f"{n}#0" for n in range(9)]
    rewrites = rewrites_of("passive", ids[:2], ["a", "b"], ["x", "y"], source="s.jsonl")
    rewrites.check(["passive"], ids[:2], ["a", "b"])
    with pytest.raises(UserError) as error:
        rewrites.check(["passive"], ids, list("abcdefghi"))
    assert str(error.value) == (
        "s.jsonl: no passive text for 7 of 9 captions: '2#0', '3#0', '4#0', '5#0', '6#0' and 2 "
        "more; make them with `python -m reex_jax list-captions --config=EXPERIMENT.py "
        "--out=captions.jsonl` and `python -m reex_jax rewrite "
        "--captions=captions.jsonl --out=sentences.jsonl --kinds=passive "
        "--rewriter=MODULE:FACTORY`"
    )
    with pytest.raises(UserError, match=r"no active text for 2 of 2 captions: '0#0', '1#0'; make"):
        rewrites.check(["passive", "active"], ids[:2], ["a", "b"])


def test_a_caption_that_changed_since():
    rewrites = SentenceRewrites("s.jsonl", {("formal", "1"): Rewritten("a dog", "One dog.")})
    with pytest.raises(UserError) as error:
        corrupt_text("a cat", "formal", 1, item_id="1", seed=0, sentences=rewrites)
    assert str(error.value).startswith(
        "s.jsonl: the formal text of caption '1' was made from 'a dog', but the data set has "
        "'a cat'; use the data set it was made for, or a new file: make them with `python -m "
    )


def test_published_captions_pair_with_the_clean_ones_by_order():
    clean = [
        {"image": "1.jpg", "caption": ["a dog", "a cat"]},
        {"image": "2", "caption": ["a cow"]},
    ]
    formal = [
        {"image": "1.jpg", "caption": ["A dog.", "A cat."]},
        {"image": "2", "caption": ["A cow."]},
    ]
    texts = [[c for row in rows for c in row["caption"]] for rows in (clean, formal)]
    rewrites = rewrites_of("formal", ["1#0", "1#1", "2#0"], *texts, source="annotation_formal/1")
    assert rewrites.text("formal", "1#1", "a cat") == "A cat."
    with pytest.raises(
        UserError, match="annotation_formal/1: 3 formal texts for 2 captions with 2"
    ):
        rewrites_of("formal", ["a", "b"], ["x", "y"], texts[1], source="annotation_formal/1")
    with pytest.raises(UserError, match="unknown sentence kind 'formel'; did you mean 'formal'"):
        rewrites_of("formel", [], [], [], source="x")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (["{"], r"line 1: not JSON \("),
        ([LINE, "[1]"], r"line 2: expected an object with the texts caption_id, kind, original, t"),
        ([{**LINE, "text": None}], "line 1: expected an object with the texts"),
        ([LINE | {"txt": "x"}], "unknown key in .* line 1: 'txt'; did you mean 'text'"),
        ([LINE | {"kind": "formel"}], "unknown sentence kind in .* line 1: 'formel'; did you mean"),
        ([LINE | {"text": " "}], "line 1: the formal text of caption '7#0' is empty; mend it"),
        ([LINE, LINE], "line 2: caption '7#0' has two formal texts; keep one of them"),
    ],
)
def test_files_with_a_wrong_line(tmp_path, records, message):
    with pytest.raises(UserError, match=message):
        read_rewrites(write(tmp_path, *records))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"none.jsonl: cannot be read \(No such file .*make them"):
        read_rewrites(tmp_path / "none.jsonl")
    (tmp_path / "latin").write_bytes(b'{"caption_id": "\xe9"}\n')
    with pytest.raises(UserError, match=r"latin: not UTF-8 .*; save the file as UTF-8"):
        read_rewrites(tmp_path / "latin")


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "sentences.jsonl"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4711\n")
    with pytest.raises(UserError, match=r"sentences\.jsonl: a pointer of Git LFS.*git lfs pull"):
        read_rewrites(path)
