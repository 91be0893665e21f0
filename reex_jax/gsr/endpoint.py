"""A server with OpenAI's interface: requests with time limits, and retries with back-off."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from reex_jax.errors import UserError
from reex_jax.gsr.complaints import Complaint, read_complaint
from reex_jax.gsr.completion import BadReplyError, Choice, Completion, parse_completion
from reex_jax.gsr.connection import TooLargeError, open_client, read_body
from reex_jax.redaction import HIDDEN, SHORTEST, redacted, without_secrets

_LONGEST_WAIT = 60.0  # seconds; a server may ask for more
_HOPELESS = {
    401: "set the environment variable OPENAI_API_KEY to a valid key",
    403: "the key in OPENAI_API_KEY may not use this model",
    404: "check gsr.base_url (it usually ends with /v1) and gsr.model",
}
# What is sent instead of a parameter that a server or model refuses; others are left out.
_SUBSTITUTES = {"max_tokens": "max_completion_tokens"}
_MOST_REDIRECTS = 5
_log = logging.getLogger(__name__)
T = TypeVar("T")


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


class FilteredError(Exception):
    """A provider's filter refuses the request's text: an answer, however often it is sent."""


class NotThereError(UserError):
    """The server has no such address or model."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One thing that a server does.

    Attributes:
        path: behind the base address.
        parse: body -> reply; raises `BadReplyError` for what is worth another attempt.
        needed: parameters without which it would be another thing; others are left out where the
            server refuses them.
        at_root: whether the path stands where the base address has its /v1.
    """

    path: str
    parse: Callable[[bytes], T]
    needed: tuple[str, ...]
    at_root: bool = False


CHAT = Call("/chat/completions", parse_completion, ("model", "messages"))


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    retry_after: str


@dataclass
class Endpoint:
    """One server. Use it inside of `async with endpoint.client() as client`.

    Attributes:
        base_url: for example "http://localhost:8000/v1".
        key: sent as bearer token, without white space around it; "" for none.
        timeout_s: for a whole request, however slowly its reply drips.
        attempts: how often a request is sent at most.
        backoff_s: the first wait is random up to this; each further one up to twice as much.
        connections: open at the same time.
    """

    base_url: str = field(repr=False)
    key: str = field(repr=False)
    timeout_s: float
    attempts: int
    backoff_s: float = 1.0
    connections: int = 8
    _refused: set[str] = field(default_factory=set, repr=False)
    _moved: dict[str, httpx2.URL] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Takes white space off the key: files and secrets often end with a line break."""
        self.key = self.key.strip()

    def client(self) -> httpx2.AsyncClient:
        """The connections.

        Raises:
            UserError: the key cannot be sent, gsr.base_url is no address, or a variable of the
                environment names a proxy or certificates that cannot be used.
        """
        for place, sign in enumerate(self.key, 1):
            if not "!" <= sign <= "~":
                raise UserError(
                    "the key in the environment variable OPENAI_API_KEY has a character that no "
                    f"HTTP header takes: U+{ord(sign):04X} at place {place} of {len(self.key)}; "
                    "copy the key anew"
                )
        self._address(CHAT)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return open_client(headers, self.connections, self.timeout_s)

    async def complete(self, client: httpx2.AsyncClient, request: dict[str, Any]) -> Completion:
        """Sends a chat request until it is answered; see `ask`.

        A provider's filter that refuses the query is an answer, whose fault is "refusal".
        """
        try:
            return await self.ask(client, CHAT, request)
        except FilteredError:
            return Completion((Choice("", fault="refusal"),), 0, 0)

    async def ask(self, client: httpx2.AsyncClient, call: Call[T], request: dict[str, Any]) -> T:
        """Sends a request until it is answered.

        Raises:
            UserError: the key, the address or the model is wrong, or the quota is used up.
            TransientError: every attempt failed.
            RejectedError: the server does not take the request.
            FilteredError: a provider's filter does not.
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
        return await retrying(self._attempt, client, call, request)

    async def _attempt(
        self, client: httpx2.AsyncClient, call: Call[T], request: dict[str, Any]
    ) -> T:
        while True:
            sent = self._accepted(request)
            answer = await self._post(client, call, sent)
            try:
                if answer.status == 200:
                    return call.parse(self._hidden_bytes(answer.body))
                fault = f"HTTP {answer.status}"
            except BadReplyError as error:
                fault = str(error)
            complaint = read_complaint(answer.status, answer.body, answer.retry_after)
            if complaint.filtered:
                raise FilteredError("refusal")
            if not self._adapts(complaint, set(sent) - set(call.needed)):
                raise self._failure(complaint, fault)

    def _accepted(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request without what the server refused before."""
        sent = {key: value for key, value in request.items() if key not in self._refused}
        for key in self._refused & request.keys():
            substitute = _SUBSTITUTES.get(key)
            if substitute and substitute not in self._refused:
                sent[substitute] = request[key]
        return sent

    def _adapts(self, complaint: Complaint, sent: set[str]) -> bool:
        """Whether the server refuses a parameter that can be left out; then it is from now on."""
        named = complaint.refused(sent)
        for key in sorted(named - self._refused):
            _log.warning("the server refuses %s, which is left out from now on", key)
        self._refused |= named
        return bool(named)

    async def _post(
        self, client: httpx2.AsyncClient, call: Call[Any], request: dict[str, Any]
    ) -> _Answer:
        try:
            # The client's own limit starts anew with every byte, this one does not.
            async with asyncio.timeout(self.timeout_s):
                return await self._follow(client, call, request)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise TransientError(f"no answer in {self.timeout_s:g} s") from error
        except httpx2.UnsupportedProtocol as error:
            raise self._no_address(error) from error
        except (httpx2.TransportError, httpx2.DecodingError, TooLargeError) as error:
            raise TransientError(self._hidden(f"{type(error).__name__}: {error}")) from error
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise self._no_address(error) from error

    async def _follow(
        self, client: httpx2.AsyncClient, call: Call[Any], request: dict[str, Any]
    ) -> _Answer:
        """The answer, from wherever the same host redirects to."""
        url = first = self._address(call)
        for _ in range(_MOST_REDIRECTS):
            url = self._moved.get(str(url), url)
            async with client.stream("POST", url, json=request) as reply:
                location = reply.headers.get("location", "")
                if reply.status_code not in (301, 302, 303, 307, 308) or not location:
                    wait = reply.headers.get("retry-after", "")
                    return _Answer(reply.status_code, await read_body(reply), wait)
            target = url.join(location)
            safe = target.scheme == "https" or target.scheme == url.scheme == "http"
            if target.host != url.host or not safe:
                break
            if reply.status_code in (301, 308):
                self._moved[str(url)] = target
            url = target
        base = str(target.copy_with(query=None)).removesuffix(call.path)
        raise UserError(
            f"{redacted(str(first))} redirects to {redacted(str(target))}, which is not followed; "
            f"if that is the server you mean, set gsr.base_url to {redacted(base)}"
        )

    def _address(self, call: Call[Any]) -> httpx2.URL:
        """Where requests go; a query of gsr.base_url stays behind the path."""
        try:
            base = httpx2.URL(self.base_url)
            if base.scheme not in ("http", "https") or not base.host:
                raise httpx2.InvalidURL("no http:// or https:// with a host behind it")
            root = base.path.rstrip("/")
            root = root.removesuffix("/v1") if call.at_root else root
            return base.copy_with(path=root + call.path)
        except (httpx2.InvalidURL, ValueError, TypeError) as error:
            raise self._no_address(error) from error

    def _no_address(self, error: Exception) -> UserError:
        return UserError(
            f"gsr.base_url is {redacted(self.base_url)!r}: {self._hidden(str(error))}; an address "
            "looks like http://localhost:8000/v1"
        )

    def _failure(self, complaint: Complaint, fault: str) -> Exception:
        code, message = complaint.status, self._hidden(complaint.message)
        place = redacted(self.base_url)
        if complaint.used_up:
            return UserError(
                f"{place} answers {code} ({message}): nothing is left to pay with, and waiting "
                "does not help; see to the account and start again"
            )
        if code in _HOPELESS:
            kind = NotThereError if code == 404 else UserError
            return kind(f"{place} answers {code} ({message}); {_HOPELESS[code]}")
        if not fault.startswith("HTTP"):
            return TransientError(self._hidden(fault))
        if code in (408, 409, 425, 429) or (code >= 500 and code != 501):
            return TransientError(f"HTTP {code}: {message}", complaint.retry_after_s)
        return RejectedError(f"HTTP {code}: {message}")

    def _secrets(self) -> tuple[str, ...]:
        url = httpx2.URL(self.base_url)
        values = [value for _, value in url.params.multi_items()]
        return (self.key, url.password, unquote(url.password), *values)

    def _hidden(self, text: str) -> str:
        """A text of the server or of a library as it may be shown and stored."""
        try:
            secrets = self._secrets()
        except (httpx2.InvalidURL, ValueError):
            secrets = (self.key,)
        return redacted(without_secrets(text, secrets))

    def _hidden_bytes(self, body: bytes) -> bytes:
        """A reply in which the server does not echo the key, as it is or escaped."""
        if len(self.key) < SHORTEST:
            return body
        for key in (self.key, self.key.replace("/", "\\/")):
            body = body.replace(key.encode(), HIDDEN.encode())
        return body
