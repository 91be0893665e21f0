"""Choosing among the channel's readings; a stub server of each kind."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.channel.completions import CompletionsScorer, differing_parts
from reex_jax.gsr.channel.rescore import LEAD, RescoringRewriter, choose
from reex_jax.gsr.channel.rewriter import Reading


class Server:
    """Scores a sentence by minus its length in letters; tokens are letters."""

    def __init__(self, kind: str) -> None:
        self.kind, self.requests = kind, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append((self.path, body))
                reply, code = server.reply(self.path, body)
                data = json.dumps(reply).encode()
                self.send_response(code)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def reply(self, path: str, body: dict) -> tuple[dict, int]:
        if path == "/tokenize" and self.kind == "forced":
            return {"tokens": [ord(c) for c in body["content"]]}, 200
        if path != "/v1/completions":
            return {"error": "not here"}, 404
        if self.kind == "echo" and body.get("echo"):
            text = body["prompt"] + "x"
            logs = {
                "text_offset": list(range(len(text))),
                "token_logprobs": [None] + [-1.0] * (len(text) - 1),
            }
            return {"choices": [{"text": text, "logprobs": logs}]}, 200
        if self.kind == "forced" and "grammar" in body:
            ids = [int(part[2:-2]) for part in body["grammar"].split(" ")[2:]]
            return {
                "choices": [{"logprobs": {"content": [{"id": i, "logprob": -1.0} for i in ids]}}]
            }, 200
        return {
            "choices": [{"text": "x", "logprobs": {"content": [{"id": 1, "logprob": -1.0}]}}]
        }, 200


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.param)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.mark.parametrize("server", ["echo", "forced"], indirect=True)
def test_scores_by_echo_or_forced_tokens(server: Server) -> None:
    scorer = CompletionsScorer(server.url, "tiny")
    lists = [["a red cat sat", "a reed cat sat"], ["dog", "frog"]]
    found = list(scorer.score(lists))
    assert scorer.way == server.kind
    np.testing.assert_allclose(found, [[-12.0, -13.0], [-4.0, -5.0]])


@pytest.mark.parametrize("server", ["neither"], indirect=True)
def test_a_server_without_log_probabilities_is_named(server: Server) -> None:
    with pytest.raises(UserError, match=r"neither echo .vLLM. nor grammars"):
        list(CompletionsScorer(server.url, "tiny").score([["a", "b"]]))


def test_nothing_to_score_asks_nobody() -> None:
    assert list(CompletionsScorer("http://127.0.0.1:1/v1", "tiny").score([])) == []


def test_differing_parts() -> None:
    before, rests = differing_parts(["a cat on a big old red mat", "a hat on a big old red mat"])
    assert (before, rests) == (LEAD + " a", [" cat on a big", " hat on a big"])
    assert differing_parts(["a b", "a b c"]) == (LEAD + " a b", ["", " c"])


class Channel:
    identity = "stub"

    def readings(self, texts: Sequence[str], count: int) -> Iterator[list[Reading]]:
        for text in texts:
            if text == "sound":
                yield [Reading(text, 0.0, 0.0)]
            else:
                yield [Reading("first", -1.0, -1.0), Reading("second", -1.5, -1.0)][:count]


class Prefers:
    identity = "prefers second"

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[list[float]]:
        for sentences in lists:
            yield [0.0 if sentence == "second" else -10.0 for sentence in sentences]


def test_the_model_chooses_and_confidence_is_its_share() -> None:
    rewriter = RescoringRewriter(Channel(), Prefers(), 2)  # type: ignore[arg-type]
    kept, mended = rewriter.rewrite(["sound", "damagd"])
    assert (kept.repaired, kept.generation) == ("sound", 1.0)
    assert mended.repaired == "second"
    expected = choose([-1 - 0.2 - 7, -1.5 - 0.2])[1]
    np.testing.assert_allclose(mended.generation, expected)
    assert "prefers second" in rewriter.identity and "n_best=2" in rewriter.identity


def test_a_list_of_one_is_no_choice() -> None:
    with pytest.raises(UserError, match=r"gsr\.n_best is 1"):
        RescoringRewriter(Channel(), Prefers(), 1)  # type: ignore[arg-type]
