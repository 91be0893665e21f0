"""One dictionary for all tests here, whose index takes two seconds, and a scripted endpoint."""

import http.server
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from reex_jax.gsr.dictionary import Dictionary, load_dictionary


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return load_dictionary()


def repaired(query: str) -> str:
    """What the stub's model makes of a query."""
    return query.replace("teh", "the").replace("rde", "red")


def completion(text: str, logprobs: list[float] | None = None, **choice) -> dict:
    """A chat completion with one choice; `logprobs`: one for each word."""
    body = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}
    if logprobs is not None:
        words = re.findall(r"\S+\s*", text)
        pairs = zip(words, logprobs, strict=True)
        body["logprobs"] = {"content": [{"token": t, "logprob": p} for t, p in pairs]}
    return {"choices": [body], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


class Stub:
    """A chat endpoint on this machine whose behaviour a test scripts.

    Attributes:
        behave: (number of the request from 0, request) -> what to do: a completion (dict), raw
            bytes with status 200, a status, a (status, headers, body), or one of "hang", "half",
            "reset", "drip".
        requests, headers, paths: of every request, in order of arrival.
    """

    def __init__(self) -> None:
        self.behave: Callable[[int, dict], object] = lambda number, request: self.answer(request)
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.paths: list[str] = []
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.server.handle_error = lambda *_: None  # clients that go away are no failure here
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    @staticmethod
    def query(request: dict) -> str:
        return json.loads(request["messages"][-1]["content"])

    def answer(self, request: dict) -> dict:
        return completion(repaired(self.query(request)))

    def asked(self) -> Counter[str]:
        return Counter(map(self.query, self.requests))


def _handler_of(stub: Stub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with stub.lock:
                number = len(stub.requests)
                stub.requests.append(request)
                stub.headers.append(dict(self.headers))
                stub.paths.append(self.path)
            action = stub.behave(number, request)
            if action == "hang":
                stub.stopped.wait(30)
                self.close_connection = True
            elif action == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.connection.close()
                self.close_connection = True
            elif action in ("half", "drip"):
                self._send(json.dumps(stub.answer(request)).encode(), action)
            elif isinstance(action, tuple):
                self._reply(*action)
            elif isinstance(action, int):
                self._reply(action, {}, b'{"error": {"message": "busy"}}')
            else:
                body = action if isinstance(action, bytes) else json.dumps(action).encode()
                self._reply(200, {}, body)

        def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send(self, body: bytes, how: str) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.close_connection = True
            if how == "half":
                self.wfile.write(body[: len(body) // 2])
                return
            for byte in body:  # each byte restarts a client's read time limit
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if stub.stopped.wait(0.1):
                    return

    return Handler


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield stub
    stub.stopped.set()
    stub.server.shutdown()
    thread.join()
    stub.server.server_close()
