"""Whatever a server, a model or a damaged journal says: answers, or our own errors."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache
from reex_jax.gsr.complaints import read_complaint
from reex_jax.gsr.completion import BadReplyError, parse_completion
from reex_jax.gsr.dictionary import known_words
from reex_jax.gsr.parts import cache_row, fits
from reex_jax.gsr.replies import check_reply, choose_repair
from reex_jax.redaction import redacted
from reex_jax.settings.repair import RepairSettings

WORDS = known_words()
ANY_TEXT = st.text(st.characters(), max_size=60)  # halves of characters too
MARKUP = st.sampled_from(
    ["<think>", "</think>", "<|channel|>", "final", "<|message|>", "<|im_end|>", "```", "**", '"',
     "{", "}", '{"query": "', '"}', "Corrected:", "\n", " ", "a dog", "assistant", "[INST]",
     "&amp;", "\ud800", "\x00", "'", "<b>", "</b>", "#", "- "]
)  # fmt: skip
REPLIES = st.lists(st.one_of(MARKUP, ANY_TEXT), max_size=12).map("".join)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["choices", "message", "content", "usage", "logprobs", "token", "logprob",
                     "error", "param", "code", "detail", "loc", "finish_reason", "prompt_tokens",
                     "text", "identity", "refined", "asking", "type"]
                ),
                ANY_TEXT,
            ),
            inner, max_size=5,
        ),
    ),
    max_leaves=20,
)  # fmt: skip
pytestmark = pytest.mark.slow


@settings(max_examples=500, deadline=None)
@given(ANY_TEXT.filter(str.strip), REPLIES)
def test_replies(query, reply):
    found = check_reply(query, reply, WORDS, None)
    assert found.text == query
    if found.reason == "repaired":
        assert fits(cache_row(found, "m") | {"text": "a query that could be stored"})


@settings(max_examples=500, deadline=None)
@given(VALUES)
def test_completions_and_errors(value):
    body = json.dumps(value).encode()
    try:
        found = parse_completion(body)
        choose_repair("a dgo", found.choices, WORDS, (found.prompt_tokens, found.reply_tokens))
    except BadReplyError:
        pass
    for status in (200, 400, 429, 500):
        complaint = read_complaint(status, body)
        complaint.refused(["n", "logprobs"])
        assert complaint.message.isprintable()
        assert isinstance(complaint.filtered or complaint.used_up, bool)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(ANY_TEXT, VALUES, max_size=3), st.binary(max_size=40))
def test_choices_of_any_shape(message, noise):
    body = json.dumps({"choices": [{"message": message, **message}], **message}).encode()
    for raw in (body, body + noise, noise + body, noise):
        with suppress(BadReplyError):
            parse_completion(raw)
        read_complaint(400, raw)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), VALUES.map(lambda v: json.dumps(v).encode())),
                max_size=4))  # fmt: skip
def test_journals(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / ".1.journal").write_bytes(b"\n".join(lines))
        with Cache(path).writer("m"):
            pass
        assert not list(path.glob(".*"))
        Cache(path).texts("m")


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_addresses(text):
    assert "secret" not in redacted(f"https://me:secret@host/{text.replace('secret', '')}")
    with suppress(UserError):
        RepairSettings(rewriter="symspell", base_url=text)
