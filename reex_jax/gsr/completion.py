"""What a chat endpoint's reply says, and whether the numbers in it can be trusted."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class BadReplyError(ValueError):
    """A reply with status 200 that is no chat completion, for example a proxy's HTML page."""


@dataclass(frozen=True)
class Choice:
    """One sampled reply.

    Attributes:
        text: what the model wrote.
        confidence: geometric mean of its tokens' probabilities; None without log-probabilities.
        fault: "cut off" or "refusal" where the server says so, else "".
    """

    text: str
    confidence: float | None
    fault: str


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
        usage = reply.get("usage") or {}
        tokens = [_count(usage.get(key)) for key in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        start = body[:60].decode("utf-8", "replace")
        raise BadReplyError(f"no chat completion: {start!r}") from error
    if not choices:
        raise BadReplyError("a chat completion without choices")
    return Completion(choices, *tokens)


def _choice(item: dict[str, Any]) -> Choice:
    message, ended = item["message"], item.get("finish_reason")
    text = message.get("content") or ""
    if not isinstance(text, str):
        raise TypeError("the content is no text")
    refused = ended == "content_filter" or (not text and message.get("refusal"))
    fault = "refusal" if refused else "cut off" if ended == "length" else ""
    return Choice(text, _confidence(item.get("logprobs"), text), fault)


def _confidence(logprobs: Any, text: str) -> float | None:
    """The geometric mean of token probabilities, if these are really those of the text.

    Some servers ignore the request, or send an empty list, zeros for all, or other tokens.
    """
    try:
        tokens = [item["token"] for item in logprobs["content"]]
        values = [float(item["logprob"]) for item in logprobs["content"]]
        joined = "".join(tokens)
    except (KeyError, TypeError, ValueError):
        return None
    # The end token may be in the list too.
    if not values or not text.strip() or not joined.strip().startswith(text.strip()):
        return None
    if not all(math.isfinite(value) and value <= 1e-6 for value in values) or not any(values):
        return None
    return min(1.0, math.exp(sum(values) / len(values)))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def best_choice(choices: Sequence[Choice]) -> Choice:
    """The reply that most samples agree on, the earliest of equals.

    Its confidence is that of its tokens where the server gives it, else, of several samples, the
    share that agrees (apart from case and white space), else None.
    """

    def key(choice: Choice) -> str:
        return " ".join(choice.text.lower().split())

    votes = Counter(map(key, choices))
    best = max(choices, key=lambda choice: votes[key(choice)])  # max keeps the first of equals
    if best.confidence is not None or len(choices) == 1:
        return best
    return Choice(best.text, votes[key(best)] / len(choices), best.fault)
