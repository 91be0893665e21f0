"""What a chat endpoint's reply says, and whether the numbers in it can be trusted."""

import json
import math
from dataclasses import dataclass
from typing import Any


class BadReplyError(ValueError):
    """A reply with status 200 that is no chat completion, for example a proxy's HTML page."""


Tokens = tuple[tuple[str, float], ...]
"""Tokens as text, each with the logarithm of its probability."""

_REFUSING = ("content_filter", "safety", "prohibited_content", "blocklist", "recitation")
_MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True)
class Choice:
    """One sampled reply.

    Attributes:
        text: what the model wrote.
        tokens: all that it wrote, thoughts and end too; () where that is not known for sure.
        fault: "cut off" or "refusal" where the server says so, else "".
    """

    text: str
    tokens: Tokens = ()
    fault: str = ""


@dataclass(frozen=True)
class Completion:
    """All choices of one request and what they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    reply_tokens: int


def parse_completion(body: bytes) -> Completion:
    """Reads the body of a chat completion.

    Raises:
        BadReplyError: it is not JSON, or lacks what every completion has.
    """
    try:
        reply = json.loads(body)
        choices = tuple(_choice(item) for item in reply["choices"])
        tokens = token_counts(reply)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        start = body[:60].decode("utf-8", "replace")
        raise BadReplyError(f"no chat completion: {start!r}") from error
    if not choices:
        raise BadReplyError("a chat completion without choices")
    return Completion(choices, *tokens)


def token_counts(reply: dict[str, Any]) -> tuple[int, int]:
    """The tokens that a reply says were read and written; 0 where it says nothing possible."""
    usage = reply.get("usage") or {}
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _choice(item: dict[str, Any]) -> Choice:
    message, ended = item["message"], str(item.get("finish_reason") or "").lower()
    text = _text(message.get("content"))
    refused = ended in _REFUSING or (not text and message.get("refusal"))
    fault = "refusal" if refused else "cut off" if ended == "length" else ""
    return Choice(text, _tokens(item.get("logprobs")), fault)


def _text(content: Any) -> str:
    """The content, or the parts of it that are text: thoughts are parts of another type."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("the content is no text")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif part.get("type", "text") in ("text", "output_text"):
            texts.append(part["text"])
    return "".join(texts)


def _tokens(logprobs: Any) -> Tokens:
    """Tokens with their log-probabilities, if these can be true.

    Some servers ignore the request, or send an empty list or zeros for all.
    """
    try:
        items = logprobs["content"]
        tokens = tuple((item["token"], float(item["logprob"])) for item in items)
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()
    values = [value for _, value in tokens]
    fits = all(isinstance(token, str) for token, _ in tokens) and any(values)
    fits = fits and all(math.isfinite(value) and value <= 1e-6 for value in values)
    return tokens if fits else ()


def own_confidence(tokens: Tokens, repaired: str) -> float | None:
    """The geometric mean of the probabilities of a repair's own tokens.

    Thoughts, labels, quotes and the end token do not count.

    Args:
        tokens: of the whole reply.
        repaired: the repair; of several places the last one counts.

    Returns:
        None where the repair is not found among the tokens.
    """
    start = "".join(token for token, _ in tokens).rfind(repaired)
    if start < 0 or not repaired:
        return None
    own, place = [], 0
    for token, value in tokens:
        if place < start + len(repaired) and place + len(token) > start:
            own.append(value)
        place += len(token)
    return min(1.0, math.exp(sum(own) / len(own))) if own else None


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0
