"""What servers' errors say, in the shapes in which they come."""

import json
import time
from email.utils import formatdate

import pytest

from reex_jax.gsr.complaints import read_complaint, wait_seconds

SENT = ("temperature", "max_tokens", "logprobs", "n", "response_format")


def complaint(status: int, body: object, retry_after: str = ""):
    raw = body if isinstance(body, str) else json.dumps(body)
    return read_complaint(status, raw.encode(), retry_after)


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Unsupported parameter: '%s' is not supported.", "param": "%s"}},
        {"error": {"message": "Unsupported value", "param": "%s"}},
        {"error": "unrecognized argument `%s`"},
        {"message": 'property "%s" is unsupported', "object": "error"},
        {"detail": [{"loc": ["body", "%s"], "msg": "extra fields not permitted",
                     "input": dict.fromkeys(SENT, 1)}]},
        {"detail": "'%s' is not allowed"},
        [{"error": {"message": "Unknown name '%s'", "status": "INVALID_ARGUMENT"}}],
        {"error": {"message": "Provider returned error",
                   "metadata": {"raw": '{"error": "\'%s\' does not support 0"}'}}},
        {"errors": [{"path": "/%s", "text": "unexpected"}]},
        "'%s' was unexpected",
    ],
)  # fmt: skip
def test_the_refused_parameter_is_found_wherever_it_stands(body, name):
    raw = body if isinstance(body, str) else json.dumps(body)
    found = read_complaint(400, raw.replace("%s", name).encode())
    assert found.refused(SENT) == {name}
    assert read_complaint(422, raw.replace("%s", name).encode()).refused(SENT) == {name}


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, {"error": "Use 'max_completion_tokens', not 'max_tokens'"}, {"max_tokens"}),
        (400, {"error": {"message": "max_completion_tokens is too large"}}, set()),
        (400, {"error": {"message": "top_logprobs is out of range"}}, set()),
        (400, {"error": {"message": "only n = 1 is possible"}}, {"n"}),
        (400, {"error": {"message": "can't run in an inn"}}, set()),
        (400, {"error": {"message": "maximum context length is 9, max_tokens 128"}}, set()),
        (500, {"error": {"message": "logprobs is not supported"}}, {"logprobs"}),
        (500, {"error": {"message": "while reading logprobs"}}, set()),
        (429, {"error": {"message": "unsupported 'logprobs'"}}, set()),
        (400, "[" * 10**6, set()),
        (400, "\ufffd\ud83d".encode("utf-8", "replace").decode(), set()),
    ],
)  # fmt: skip
def test_what_counts_as_refused(status, body, refused):
    assert complaint(status, body).refused(SENT) == refused


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "content_filter", "message": "filtered", "param": "prompt"}}),
        (400, {"error": {"message": "triggering Azure's content management policy"}}),
        (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (400, {"error": {"message": "Content Exists Risk"}}),
        (403, {"error": {"message": "your input was flagged by moderation"}}),
    ],
)
def test_a_filter_is_no_failure(status, body):
    assert complaint(status, body).filtered


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "used_up"),
    [
        (429, {"error": {"code": "insufficient_quota", "message": "no"}}, "", True),
        (429, {"error": {"message": "You exceeded your current quota"}}, "", True),
        (429, {"error": {"message": "You exceeded your current quota"}}, "7", False),  # a minute's
        (402, "", "", True),
        (400, {"error": {"message": "Your credit balance is too low"}}, "", True),
        (429, {"error": {"message": "too many requests"}}, "", False),
        (500, {"error": {"message": "insufficient_quota"}}, "", False),
    ],
)
def test_quota(status, body, retry_after, used_up):
    assert complaint(status, body, retry_after).used_up is used_up


def test_seconds_or_a_date():
    assert wait_seconds("7") == 7 and wait_seconds("0.5") == 0.5
    assert 27 < wait_seconds(formatdate(time.time() + 30, usegmt=True)) <= 30
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    odd = ("", "soon", "-3", "nan", "inf", past, "Wed, 99 Xxx 99999 99:99:99 GMT", "1e999")
    assert [wait_seconds(text) for text in odd] == [0] * len(odd)


def test_messages_are_one_short_printable_line():
    found = complaint(400, {"error": {"message": "a\x1b[2J\nb" + "c" * 1000}})
    assert found.message.startswith("a [2J bccc") and len(found.message) == 200
    assert complaint(500, "").message == ""
    assert complaint(200, {"error": {"code": 503, "message": "busy"}}).status == 503
    assert complaint(200, {"error": "busy"}).status == 400
