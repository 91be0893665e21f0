"""Reading a server's reply; log-probabilities count only if they are really there."""

import json
import math

import pytest

from reex_jax.gsr.completion import BadReplyError, Choice, best_choice, parse_completion


def body(*choices: dict, **rest) -> bytes:
    return json.dumps({"choices": list(choices), **rest}).encode()


def choice(text: object, tokens: list[tuple[str, object]] | None = None, **rest) -> dict:
    logprobs = {"content": [{"token": t, "logprob": p} for t, p in tokens or []]}
    return {"message": {"content": text}, "logprobs": tokens and logprobs, **rest}


def confidence(text: str, tokens: list) -> float | None:
    return parse_completion(body(choice(text, tokens))).choices[0].confidence


def test_confidence_is_the_geometric_mean():
    tokens = [("a", math.log(0.5)), (" red", math.log(0.9)), (" dog", math.log(0.4))]
    assert confidence("a red dog", tokens) == pytest.approx((0.5 * 0.9 * 0.4) ** (1 / 3))
    with_end = [*tokens, ("<|end|>", math.log(0.8))]
    assert confidence("a red dog", with_end) == pytest.approx((0.5 * 0.9 * 0.4 * 0.8) ** 0.25)


@pytest.mark.parametrize(
    "tokens",
    [
        None,
        [],
        [("other", -0.1), (" text", -0.2)],
        [("a", 0.0), (" dog", 0.0)],  # a server that fills in zeros
        [("a", 0.7), (" dog", -0.1)],
        [("a", "high"), (" dog", -0.1)],
        [("a", None), (" dog", -0.1)],
        [(None, -0.1)],
        [("a", float("-inf")), (" dog", -0.1)],
    ],
)
def test_doubtful_logprobs_do_not_count(tokens):
    assert confidence("a dog", tokens) is None


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>busy</html>",
        b'{"choices": [',
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": 3}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "usage": 7}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_completion(reply):
    with pytest.raises(BadReplyError):
        parse_completion(reply)


def test_usage_and_faults():
    usage = {"prompt_tokens": 7, "completion_tokens": "many"}
    found = parse_completion(body(choice("a", finish_reason="length"), usage=usage))
    assert (found.prompt_tokens, found.reply_tokens) == (7, 0)
    assert found.choices[0].fault == "cut off"
    refused = {"message": {"content": None, "refusal": "no"}}
    faults = [
        parse_completion(body(item)).choices[0].fault
        for item in (choice("", finish_reason="content_filter"), refused, choice(None))
    ]
    assert faults == ["refusal", "refusal", ""]


def test_agreement_of_samples():
    def plain(*texts: str) -> list[Choice]:
        return [Choice(text, None, "") for text in texts]

    assert best_choice(plain("a dog", "A  dog", "a cat")) == Choice("a dog", 2 / 3, "")
    assert best_choice(plain("x", "y")) == Choice("x", 1 / 2, "")
    assert best_choice(plain("a dog")).confidence is None
    sure = Choice("a dog", 0.7, "")
    assert best_choice([Choice("a cat", 0.9, ""), sure, sure]) == sure
