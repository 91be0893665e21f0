"""Choosing among the channel's readings; a stub server of each kind."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.channel.completions import CompletionsScorer, differing_parts
from reex_jax.gsr.channel.local_scorer import LocalScorer
from reex_jax.gsr.channel.rescore import LEAD, RescoringRewriter, Scores, right_share
from reex_jax.gsr.channel.rewriter import Reading
from reex_jax.gsr.endpoint import Endpoint


class Server:
    """Scores a sentence by minus its length in letters; tokens are letters."""

    bos = ""

    def __init__(self, kind: str) -> None:
        self.kind, self.requests, self.busy = kind, [], 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append((self.path, body))
                reply, code = server.reply(self.path, body)
                if server.busy:
                    server.busy -= 1
                    reply, code = {"error": {"message": "busy"}}, 503
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
            text = self.bos + body["prompt"] + "x"
            logs = {
                "tokens": [self.bos, *text[len(self.bos) :]] if self.bos else list(text),
                "text_offset": [0] * bool(self.bos) + list(range(len(self.bos), len(text))),
                "token_logprobs": [None] * bool(self.bos) + [-1.0] * (len(text) - len(self.bos)),
            }
            usage = {"prompt_tokens": 5, "completion_tokens": 1}
            return {"choices": [{"text": text, "logprobs": logs}], "usage": usage}, 200
        if self.kind == "forced" and "grammar" in body:
            ids = [int(part[2:-2]) for part in body["grammar"].split(" ")[2:]]
            return {
                "choices": [{"logprobs": {"content": [{"id": i, "logprob": -1.0} for i in ids]}}]
            }, 200
        return {
            "choices": [{"text": "x", "logprobs": {"content": [{"id": 1, "logprob": -1.0}]}}]
        }, 200


def scorer_of(url: str, attempts: int = 3) -> CompletionsScorer:
    return CompletionsScorer(Endpoint(url, "", 10.0, attempts, backoff_s=0.01), "tiny")


def values(scorer: CompletionsScorer, lists: Sequence[Sequence[str]]) -> list[list[float]]:
    return [list(scores.values) for scores in scorer.score(lists)]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.param)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.mark.parametrize("server", ["echo", "forced"], indirect=True)
def test_scores_by_echo_or_forced_tokens(server: Server) -> None:
    scorer = scorer_of(server.url)
    lists = [["a red cat sat", "a reed cat sat"], ["dog", "frog"]]
    server.busy = 2  # what every request of the project stands
    found = values(scorer, lists)
    assert scorer.way == server.kind
    np.testing.assert_allclose(found, [[-12.0, -13.0], [-4.0, -5.0]])
    assert values(scorer, [["a b", "a b c"]]) == [[0.0, -2.0]]


@pytest.mark.parametrize("server", ["echo"], indirect=True)
def test_a_token_at_the_start_shifts_nothing(server: Server) -> None:
    server.bos = "<|begin|>"
    (scores,) = scorer_of(server.url).score([["a red cat sat", "a reed cat sat"]])
    assert scores == Scores([-12.0, -13.0], 10, 2)


@pytest.mark.parametrize("server", ["echo"], indirect=True)
def test_a_server_that_fails_fails_the_texts(server: Server) -> None:
    scorer = scorer_of(server.url)
    assert values(scorer, [["a", "b"]]) == [[-2.0, -2.0]]
    server.busy = 100
    (scores,) = scorer.score([["a", "b"]])
    assert scores.fault == "failed: HTTP 503: busy" and not scores.values
    rewriter = RescoringRewriter(Channel(), scorer, 2)  # type: ignore[arg-type]
    assert [item.failed for item in rewriter.rewrite(["sound", "damagd"])] == [False, True]
    unasked = scorer_of(server.url)
    server.busy = 100
    assert next(unasked.score([["a", "b"]])).fault == "failed: HTTP 503: busy"


@pytest.mark.parametrize("server", ["neither"], indirect=True)
def test_a_server_without_log_probabilities_is_named(server: Server) -> None:
    with pytest.raises(UserError, match=r"neither echo .vLLM. nor grammars") as error:
        list(scorer_of(server.url).score([["a", "b"]]))
    assert "forced: " in str(error.value) and "404" in str(error.value)


def test_nothing_to_score_asks_nobody() -> None:
    assert list(scorer_of("http://127.0.0.1:1/v1").score([])) == []


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

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[Scores]:
        for sentences in lists:
            yield Scores([0.0 if s == "second" else -10.0 for s in sentences], 7, 3)


def test_the_model_chooses_and_confidence_is_its_share() -> None:
    rewriter = RescoringRewriter(Channel(), Prefers(), 2)  # type: ignore[arg-type]
    kept, mended = rewriter.rewrite(["sound", "damagd"])
    assert (kept.repaired, kept.generation) == ("sound", 1.0)
    assert mended.repaired == "second"
    expected = 1 / (1 + np.exp(-1 - 0.2 - 7 + 1.5 + 0.2))
    np.testing.assert_allclose(mended.generation, expected)
    assert (mended.prompt_tokens, mended.reply_tokens) == (7, 3)
    assert "prefers second" in rewriter.identity and "n_best=2" in rewriter.identity


def test_a_list_of_one_is_no_choice() -> None:
    with pytest.raises(UserError, match=r"gsr\.n_best is 1"):
        RescoringRewriter(Channel(), Prefers(), 1)  # type: ignore[arg-type]


def test_confidence_is_the_expected_share_of_right_words() -> None:
    # Half of the probability has another third word: 2.5 of 3 words are expected to be right.
    assert right_share(["a red cat", "a red hat"], [0.0, 0.0]) == pytest.approx(2.5 / 3)
    assert right_share(["a ; cat", "a cat"], [-1.0, 0.0]) == pytest.approx(1.0)
    assert right_share(["one"], [-5.0]) == right_share([" "], [0.0]) == 1.0
    assert right_share(["a b", "c d"], [0.0, -np.inf]) == 1.0


def test_a_local_scorer_is_pinned() -> None:
    with pytest.raises(UserError, match=r"set gsr\.revision to a commit"):
        LocalScorer("some/model")
    assert LocalScorer("some/model", "abc").identity.startswith(
        "transformers model=some/model@abc lead="
    )
