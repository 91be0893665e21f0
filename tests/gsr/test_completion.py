"""Reading a server's reply; log-probabilities count only if they are really there."""

import json
import math

import pytest

from reex_jax.gsr.completion import BadReplyError, own_confidence, parse_completion


def body(*choices: dict, **rest) -> bytes:
    return json.dumps({"choices": list(choices), **rest}).encode()


def choice(text: object, tokens: list[tuple[str, object]] | None = None, **rest) -> dict:
    logprobs = {"content": [{"token": t, "logprob": p} for t, p in tokens or []]}
    return {"message": {"content": text}, "logprobs": tokens and logprobs, **rest}


def confidence(text: str, tokens: list) -> float | None:
    return own_confidence(parse_completion(body(choice(text, tokens))).choices[0].tokens, text)


def test_confidence_is_the_geometric_mean():
    tokens = [("a", math.log(0.5)), (" red", math.log(0.9)), (" dog", math.log(0.4))]
    assert confidence("a red dog", tokens) == pytest.approx((0.5 * 0.9 * 0.4) ** (1 / 3))
    with_end = [*tokens, ("<|end|>", math.log(0.8))]
    assert confidence("a red dog", with_end) == confidence("a red dog", tokens)


def test_only_the_repairs_own_tokens_count():
    thoughts = [("<think>", -3.0), ("a dog", -2.0), ("</think>", -3.0)]
    label = [("Corrected:", -1.0), (' "', -1.0)]
    own = [("a", -0.1), (" dog", -0.3)]
    tokens = [*thoughts, *label, *own, ('"', -1.0), ("<|im_end|>", -4.0)]
    assert confidence("a dog", tokens) == pytest.approx(math.exp(-0.2))
    assert own_confidence(tuple(own), "a cat") is None
    assert own_confidence(tuple(own), "") is None


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
        b"[" * 10**6,
        b'{"choices": ' * 10**5,
        b'{"choices": [{"message": {"content": [3]}}]}',
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


def test_content_in_parts():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "a typo"}]}
    parts = [thinking, {"type": "text", "text": "a "}, {"type": "output_text", "text": "dog"}]
    assert parse_completion(body(choice(parts))).choices[0].text == "a dog"
    assert parse_completion(body(choice([]))).choices[0].text == ""


@pytest.mark.parametrize("count", [10**30, -1, True, 3.0, "9", None, 2**31])
def test_impossible_counts_of_tokens_are_none(count):
    usage = {"prompt_tokens": count, "completion_tokens": count}
    found = parse_completion(body(choice("a"), usage=usage))
    assert (found.prompt_tokens, found.reply_tokens) == (0, 0)


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "PROHIBITED_CONTENT"])
def test_filters_by_whatever_name(reason):
    refused = parse_completion(body(choice("a", finish_reason=reason)))
    assert refused.choices[0].fault == "refusal"
