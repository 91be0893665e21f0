import json

import pytest

from reex_jax.corruptions.text.rewrite import Report, read_caption_list, rewrite_captions
from reex_jax.corruptions.text.sentence_prompts import PROMPT_VERSION, SENTENCE_PROMPTS
from reex_jax.corruptions.text.sentences import read_rewrites
from reex_jax.errors import UserError

CAPTIONS = {f"{number}#0": f"a dog number {number}" for number in range(7)}


class Fake:
    """A rewriter that shouts, and notes what it was asked."""

    def __init__(self, stop_after=None):
        self.calls = []
        self.stop_after = stop_after

    def factory(self, kind):
        def rewrite(instruction, captions):
            if self.stop_after is not None and len(self.calls) == self.stop_after:
                raise ConnectionError("server gone")
            self.calls.append((kind, instruction, list(captions)))
            return [f"{caption.upper()}  BY\n{kind}" for caption in captions]

        return rewrite


def run(fake, out, kinds=("formal", "casual"), captions=CAPTIONS, rewriter="fake"):
    return rewrite_captions(captions, kinds, fake.factory, out, rewriter=rewriter, batch_size=3)


def test_every_caption_is_rewritten_in_every_kind(tmp_path):
    fake, out = Fake(), tmp_path / "new" / "sentences.jsonl"
    assert run(fake, out) == Report(written=14, present=0, kept=0)
    assert [(kind, len(captions)) for kind, _, captions in fake.calls] == [
        (kind, count) for kind in ("formal", "casual") for count in (3, 3, 1)
    ]
    assert {instruction for _, instruction, _ in fake.calls} == {
        SENTENCE_PROMPTS["formal"],
        SENTENCE_PROMPTS["casual"],
    }
    rewrites = read_rewrites(out)
    rewrites.check(("formal", "casual"), list(CAPTIONS), list(CAPTIONS.values()))
    assert rewrites.text("casual", "3#0", "a dog number 3") == "A DOG NUMBER 3 BY casual"
    assert json.loads(out.read_text().splitlines()[0]) == {
        "caption_id": "0#0",
        "kind": "formal",
        "original": "a dog number 0",
        "text": "A DOG NUMBER 0 BY formal",
        "prompt_version": PROMPT_VERSION,
        "rewriter": "fake",
    }


@pytest.mark.parametrize("torn", [False, True])
def test_an_interrupted_pass_goes_on_and_ends_with_the_same_file(tmp_path, torn):
    run(Fake(), tmp_path / "whole")
    out = tmp_path / "part"
    with pytest.raises(ConnectionError):
        run(Fake(stop_after=4), out)
    assert len(out.read_text().splitlines()) == 10
    if torn:
        out.write_bytes(out.read_bytes()[:-20])
    fake = Fake()
    assert run(fake, out) == Report(written=4 + torn, present=10 - torn, kept=0)
    assert sum(len(captions) for _, _, captions in fake.calls) == 4 + torn
    assert out.read_text() == (tmp_path / "whole").read_text()
    assert run(Fake(), out) == Report(written=0, present=14, kept=0)


@pytest.mark.parametrize("answer", ["", " \n", None, 7, "word " * 40, "\ud800"])
def test_an_answer_of_no_use_leaves_the_caption(tmp_path, answer):
    def factory(kind):
        return lambda instruction, captions: [answer for _ in captions]

    out = tmp_path / "out"
    report = rewrite_captions({"1": "a dog"}, ["active"], factory, out, rewriter="r")
    assert report == Report(written=1, present=0, kept=1)
    assert read_rewrites(out).text("active", "1", "a dog") == "a dog"


def test_halves_of_characters_are_left_out(tmp_path):
    def factory(kind):
        return lambda instruction, captions: ["ein Hünd\ud800 犬" for _ in captions]

    rewrite_captions({"1": "a dog"}, ["active"], factory, tmp_path / "o", rewriter="r")
    assert read_rewrites(tmp_path / "o").text("active", "1", "a dog") == "ein Hünd 犬"


def test_what_a_pass_refuses(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="unknown sentence kind 'formel'; did you mean 'formal'"):
        run(Fake(), out, kinds=("formel",))
    with pytest.raises(
        UserError, match="rewriter short: 0 texts for 3 captions of kind formal; it"
    ):
        rewrite_captions(
            CAPTIONS, ["formal"], lambda kind: lambda i, c: [], out, rewriter="short", batch_size=3
        )
    with pytest.raises(UserError, match="batch_size is 0; it must be at least 1"):
        rewrite_captions(CAPTIONS, ["formal"], Fake().factory, out, rewriter="r", batch_size=0)
    run(Fake(), out)
    with pytest.raises(
        UserError, match=r"was made by 'fake' with prompts of version 1, not by 'o'"
    ):
        run(Fake(), out, rewriter="o")
    with pytest.raises(
        UserError, match="formal text of caption '0#0' was made from 'a dog number 0"
    ):
        run(Fake(), out, captions={"0#0": "a cat"})
    with pytest.raises(UserError, match="cannot be written"):
        run(Fake(), out / "below_a_file")


def write_list(folder, *lines):
    path = folder / "captions.jsonl"
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


def test_caption_lists(tmp_path):
    line = '{"caption_id": "1", "caption": "a\u2028dog"}'  # no end of a line in JSON
    assert read_caption_list(write_list(tmp_path, line, "")) == {"1": "a\u2028dog"}
    for lines, message in (
        ((line, line), "line 2: caption '1' is there twice; keep one of them"),
        (('{"caption_id": 1, "caption": "x"}',), "line 1: expected an object with the texts"),
        (('{"caption_id": "1", "caption": " "}',), "line 1: caption '1' is empty; mend or"),
        ((), "no captions; make it with `python -m reex_jax list-captions`"),
    ):
        with pytest.raises(UserError, match=message):
            read_caption_list(write_list(tmp_path, *lines))
