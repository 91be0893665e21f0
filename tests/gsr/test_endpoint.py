"""The endpoint against servers that refuse, redirect, limit, filter, flood and tell secrets."""

import gzip
import json
import logging
import time
import zlib
from email.utils import formatdate

import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.connection import LARGEST
from reex_jax.gsr.dictionary import known_words
from reex_jax.gsr.endpoint import Endpoint
from reex_jax.gsr.offline import run_pass
from reex_jax.gsr.openai_chat import OpenAIRewriter

WORDS = known_words()
TEXT = "teh dog"
KEY = "sk-secret-4711"


def rewriter(url, *, key="", attempts=2, timeout_s=5.0, **settings) -> OpenAIRewriter:
    return OpenAIRewriter(Endpoint(url, key, timeout_s, attempts, 0.001), "m", WORDS, **settings)


def asked(stub, **settings):
    (found,) = rewriter(stub.url, **settings).rewrite([TEXT])
    return found


def error(status, **fields):
    return status, {}, json.dumps({"error": fields}).encode()


@pytest.mark.parametrize("refused", ["temperature", "max_tokens", "logprobs", "n"])
def test_any_parameter_may_be_refused(stub, refused):
    def behave(number, request):
        if refused in request:
            return error(400, message="Unsupported value", param=refused)
        return stub.answer(request)

    stub.behave = behave
    asking = rewriter(stub.url, samples=2, temperature=0.5)
    assert {item.reason for item in asking.rewrite([TEXT, "teh cat"])} == {"repaired"}
    assert sum(refused in request for request in stub.requests) <= 2  # those that were on their way


def test_all_of_them_may_be(stub, caplog):
    def behave(number, request):
        extra = sorted(request.keys() - {"model", "messages"})
        return error(422, message=f"unknown '{extra[0]}'") if extra else stub.answer(request)

    stub.behave = behave
    with caplog.at_level(logging.WARNING):
        assert asked(stub).reason == "repaired"
    assert len(stub.requests) == 5  # logprobs, max_tokens, max_completion_tokens, temperature
    assert "the server refuses temperature, which is left out from now on" in caplog.text


def test_a_complaint_with_status_200(stub):
    replies = [{"error": {"message": "'logprobs' is unsupported"}}, {"error": "overloaded"}]
    stub.behave = lambda number, request: (
        replies[number] if number < len(replies) else stub.answer(request)
    )
    assert asked(stub).reason == "repaired"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_of_the_same_host_are_followed(stub, status):
    def behave(number, request):
        moved = stub.paths[number] == "/v1/chat/completions"
        there = {"Location": "/api/v1/chat/completions"}
        return (status, there, b"") if moved else stub.answer(request)

    stub.behave = behave
    asking = rewriter(stub.url, concurrency=1)
    assert {item.reason for item in asking.rewrite([TEXT, "teh cat"])} == {"repaired"}
    assert len(stub.requests) == (3 if status in (301, 308) else 4)


@pytest.mark.parametrize(
    "location", ["https://me:pw@elsewhere.example/v1/chat/completions?key=4711", "ftp://127.0.0.1/"]
)
def test_other_redirects_are_refused_with_both_addresses(stub, location):
    stub.behave = lambda number, request: (308, {"Location": location}, b"")
    with pytest.raises(UserError, match=r"redirects to .* set gsr\.base_url to") as raised:
        asked(stub, key=KEY)
    assert stub.url in str(raised.value) and location.split("@")[-1][:12] in str(raised.value)
    assert "pw" not in str(raised.value) and "4711" not in str(raised.value)
    assert len(stub.requests) == 1


def test_redirects_in_a_circle_end(stub):
    stub.behave = lambda number, request: (307, {"Location": "/v1/chat/completions"}, b"")
    with pytest.raises(UserError, match="redirects to"):
        asked(stub)


def test_a_date_to_wait_for(stub):
    arrived = []

    def behave(number, request):
        arrived.append(time.time())
        later = formatdate(time.time() + 2, usegmt=True)
        return (429, {"Retry-After": later}, b"{}") if number == 0 else stub.answer(request)

    stub.behave = behave
    assert asked(stub).reason == "repaired"
    assert arrived[1] - arrived[0] >= 0.9  # dates have no fractions


def test_a_quota_that_is_used_up_ends_the_pass(stub, tmp_path):
    stub.behave = lambda number, request: error(429, message="no quota", code="insufficient_quota")
    with pytest.raises(UserError, match=r"answers 429 \(no quota\): nothing is left to pay with"):
        run_pass(rewriter(stub.url, concurrency=1), tmp_path, [TEXT, "a"], progress=False)
    assert len(stub.requests) == 1


def test_a_content_filter_is_an_answer(stub, tmp_path):
    stub.behave = lambda number, request: error(400, message="filtered", code="content_filter")
    summary = run_pass(rewriter(stub.url), tmp_path, [TEXT], progress=False)
    assert summary.reasons == {"refusal": 1}
    again = run_pass(rewriter(stub.url), tmp_path, [TEXT], progress=False)
    assert (again.asked, again.cached, len(stub.requests)) == (0, 1, 1)


def test_the_limit_of_tokens_follows_the_query(stub):
    list(rewriter(stub.url).rewrite([TEXT, "teh dog " * 200]))
    limits = {len(stub.query(r)): r["max_tokens"] for r in stub.requests}
    assert limits[len(TEXT)] == 128 and limits[1600] > 400


def packed(stub, request, how, padding=0):
    body = json.dumps(stub.answer(request)).encode() + b" " * padding
    encoding = {gzip.compress: "gzip", zlib.compress: "deflate"}.get(how, "deflate")
    return 200, {"Content-Encoding": encoding}, how(body)


def bare(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


@pytest.mark.parametrize("how", [gzip.compress, zlib.compress, bare])
def test_packed_replies(stub, how):
    stub.behave = lambda number, request: packed(stub, request, how)
    assert asked(stub).reason == "repaired"


@pytest.mark.parametrize(
    "reply",
    [
        lambda stub, request: packed(stub, request, gzip.compress, LARGEST),
        lambda stub, request: packed(stub, request, gzip.compress, 64 * LARGEST),
        lambda stub, request: (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        lambda stub, request: (200, {"Content-Encoding": "br"}, b"x"),
        lambda stub, request: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}" * 99)[:-9]),
        lambda stub, request: b" " * (LARGEST + 1),
        lambda stub, request: b"[" * 10**6,
        lambda stub, request: (500, {}, b"[" * 10**6),
    ],
)
def test_floods_are_an_error_of_that_reply(stub, reply):
    stub.behave = lambda number, request: (
        reply(stub, request) if stub.query(request) == TEXT else stub.answer(request)
    )
    reasons = {item.text: item.reason for item in rewriter(stub.url).rewrite([TEXT, "teh cat"])}
    assert reasons[TEXT].startswith("failed: ") and reasons["teh cat"] == "repaired"


@pytest.mark.parametrize("content", ["the dog\ud800", "the dog\x00", "the \udfffdog"])
def test_no_half_character_enters_the_cache(stub, tmp_path, content):
    stub.behave = lambda number, request: {
        "choices": [{"message": {"content": content}}],
        "usage": {"prompt_tokens": 10**30, "completion_tokens": 3},
    }
    assert run_pass(rewriter(stub.url), tmp_path, [TEXT], progress=False).reasons == {"repaired": 1}
    assert run_pass(rewriter(stub.url), tmp_path, [TEXT], progress=False).cached == 1


def test_a_query_that_no_file_keeps_is_named(stub, tmp_path):
    with pytest.raises(UserError, match=r"'teh \\ud800' holds half a character"):
        run_pass(rewriter(stub.url), tmp_path, ["teh \ud800"], progress=False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://me:pw4711@127.0.0.1:1080"),
        ("HTTPS_PROXY", "gopher://127.0.0.1"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_at_once(stub, monkeypatch, variable, value):
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=f"environment variable {variable} is ") as raised:
        asked(stub)
    assert "pw4711" not in str(raised.value)


def test_certificates_that_are_none_are_named(stub, monkeypatch, tmp_path):
    (tmp_path / "file.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "file.pem"))
    with pytest.raises(UserError, match=r"certificates of SSL_CERT_FILE .*cannot be loaded"):
        asked(stub)


@pytest.mark.parametrize("key", ["sk-47\u201d", "sk 47", "sk-47\nX", "sk-47\x00"])
def test_a_key_that_no_header_takes(stub, key):
    with pytest.raises(UserError, match="OPENAI_API_KEY has a character that no HTTP") as raised:
        asked(stub, key=key)
    assert "47" not in str(raised.value).replace("U+", "")


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY}\t", f"\r\n{KEY}\r\n"])
def test_white_space_around_a_key(stub, key):
    assert asked(stub, key=key).reason == "repaired"
    assert stub.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("url", ["http://", "http://host:port/v1", "http://[::1", "http:///v1",
                                 "http://" + "a" * 80 + ".example\u200b/v1"])  # fmt: skip
def test_an_address_that_is_none(url):
    with pytest.raises(UserError, match=r"gsr\.base_url is "):
        list(rewriter(url).rewrite([TEXT]))


def test_a_query_in_the_address_stays_behind_the_path(stub):
    assert next(rewriter(f"{stub.url}/?api-version=1").rewrite([TEXT])).reason == "repaired"
    assert stub.paths == ["/v1/chat/completions?api-version=1"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_server_that_echoes_secrets(stub, status, tmp_path, caplog, capsys):
    address = stub.url.replace("http://", "http://me:pass-4711@") + "?token=tok-4711"
    stub.behave = lambda number, request: error(
        status, message=f"bad key {KEY} in {address} pass-4711 tok-4711"
    )
    asking = rewriter(address, key=KEY, attempts=1)
    try:
        (said,) = [item.reason for item in asking.rewrite([TEXT])]
    except UserError as raised:
        said = str(raised)
    assert "bad key ***" in said
    shown = said + repr(asking) + asking.identity + caplog.text + "".join(capsys.readouterr())
    assert KEY not in shown and "4711" not in shown


@pytest.mark.parametrize("key", [KEY, "sk/secret-4711"])
def test_a_model_that_echoes_the_key(stub, key):
    content = json.dumps(f"the dog {key} of a long name").replace("/", "\\/")
    body = f'{{"choices": [{{"message": {{"content": {content}}}}}]}}'
    stub.behave = lambda number, request: body.encode()
    found = next(rewriter(stub.url, key=key).rewrite(["teh dog sk-sec of a long name"]))
    assert "4711" not in str(found)


def test_an_exception_of_a_worker_reaches_the_reader(stub, monkeypatch):
    async def broken(*_):
        raise MemoryError("too much")

    monkeypatch.setattr(Endpoint, "complete", broken)
    with pytest.raises(MemoryError, match="too much"):
        asked(stub)
