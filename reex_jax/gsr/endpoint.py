"""A chat endpoint as OpenAI defined it: requests with time limits, and retries with back-off."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from reex_jax.errors import UserError
from reex_jax.gsr.completion import BadReplyError, Completion, parse_completion

_LONGEST_WAIT = 60.0  # seconds; a server may ask for more
_HOPELESS = {
    401: "set the environment variable OPENAI_API_KEY to a valid key",
    403: "the key in OPENAI_API_KEY may not use this model",
    404: "check gsr.base_url (it usually ends with /v1) and gsr.model",
}
# Settings that some servers or models refuse, and what is sent instead.
_SUBSTITUTES = {"logprobs": None, "n": None, "max_tokens": "max_completion_tokens"}


class TransientError(Exception):
    """Worth another attempt: the server is busy, failed, or did not answer in time.

    Attributes:
        wait_s: how long the server asks to wait; 0 if it does not say.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        """Keeps the message for the report."""
        super().__init__(message)
        self.wait_s = wait_s


class RejectedError(Exception):
    """The server will not take this one request, however often it is sent."""


@dataclass
class Endpoint:
    """One server. Use it inside of `async with endpoint.client() as client`.

    Attributes:
        base_url: for example "http://localhost:8000/v1".
        key: sent as bearer token; "" for none.
        timeout_s: for a whole request, however slowly its reply drips.
        attempts: how often a request is sent at most.
        backoff_s: the first wait is random up to this; each further one up to twice as much.
        connections: open at the same time.
    """

    base_url: str
    key: str = field(repr=False)
    timeout_s: float
    attempts: int
    backoff_s: float = 1.0
    connections: int = 8
    _refused: set[str] = field(default_factory=set, repr=False)

    def client(self) -> httpx2.AsyncClient:
        """The connections."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx2.Limits(max_connections=self.connections)
        return httpx2.AsyncClient(headers=headers, limits=limits, timeout=self.timeout_s)

    async def complete(self, client: httpx2.AsyncClient, request: dict[str, Any]) -> Completion:
        """Sends a chat request until it is answered.

        Raises:
            UserError: the key, the address or the model is wrong.
            TransientError: every attempt failed.
            RejectedError: the server does not take the request.
        """
        backoff = wait_random_exponential(multiplier=self.backoff_s, max=_LONGEST_WAIT)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait_s if isinstance(error, TransientError) else 0.0
            return max(backoff(state), min(asked, _LONGEST_WAIT))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self.attempts),
            wait=wait,
            reraise=True,
        )
        return await retrying(self._attempt, client, request)

    async def _attempt(self, client: httpx2.AsyncClient, request: dict[str, Any]) -> Completion:
        while True:
            sent = {key: value for key, value in request.items() if key not in self._refused}
            for key in self._refused & request.keys():
                substitute = _SUBSTITUTES[key]
                if substitute:
                    sent[substitute] = request[key]
            reply = await self._post(client, sent)
            if reply.status_code == 200:
                try:
                    return parse_completion(reply.content)
                except BadReplyError as error:
                    raise TransientError(str(error)) from error
            if not self._adapts(reply, sent):
                raise self._failure(reply)

    async def _post(self, client: httpx2.AsyncClient, request: dict[str, Any]) -> httpx2.Response:
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        try:
            # The client's own limit starts anew with every byte, this one does not.
            async with asyncio.timeout(self.timeout_s):
                return await client.post(url, json=request)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise TransientError(f"no answer in {self.timeout_s:g} s") from error
        except httpx2.UnsupportedProtocol as error:
            raise UserError(f"gsr.base_url is {self.base_url!r}: {error}") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error

    def _adapts(self, reply: httpx2.Response, sent: dict[str, Any]) -> bool:
        """Whether the server refuses a setting that can be left out; then it is from now on."""
        if reply.status_code not in (400, 422):
            return False
        complaint = _message(reply)
        named = [key for key in _SUBSTITUTES if key in sent and _names(complaint, key)]
        self._refused.update(named)
        return bool(named)

    def _failure(self, reply: httpx2.Response) -> Exception:
        code, message = reply.status_code, _message(reply)
        if code in _HOPELESS:
            return UserError(f"{self.base_url} answers {code} ({message}); {_HOPELESS[code]}")
        if code in (408, 409, 425, 429) or code >= 500:
            return TransientError(f"HTTP {code}: {message}", _retry_after(reply))
        return RejectedError(f"HTTP {code}: {message}")


def _names(complaint: str, setting: str) -> bool:
    return any(f"{quote}{setting}{quote}" in complaint for quote in "'\"`") or (
        len(setting) > 1 and setting in complaint
    )


def _message(reply: httpx2.Response) -> str:
    """The server's own words, in one short line."""
    try:
        error = reply.json()["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = reply.text
    return " ".join(str(text).split())[:200]


def _retry_after(reply: httpx2.Response) -> float:
    """Seconds of the Retry-After header; 0 if it is missing or a date."""
    try:
        return max(0.0, float(reply.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
