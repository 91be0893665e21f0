"""What a server's error says: which parameter it refuses, and whether waiting helps.

Servers write the same things in many shapes: `{"error": {"message", "param", "code"}}`, a text, a
list of faults with their places, another provider's error quoted inside of a message.
"""

import json
import math
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

_FILTERED = re.compile(
    r"content[_ ]filter|content[_ ]management[_ ]policy|content[_ ]policy|responsible_?ai_?policy"
    r"|data_inspection_failed|content exists risk|prohibited[_ ]content|flagged by|moderation"
    r"|safety (?:system|polic|filter|setting)|usage polic",
    re.IGNORECASE,
)
_USED_UP = re.compile(
    r"insufficient[_ ](?:quota|balance|credit|fund)|exceeded your (?:current |monthly )?quota"
    r"|billing_?(?:hard_limit|not_active)|billing hard limit|credit balance is too low"
    r"|out of credits|quota (?:is )?(?:used up|exhausted)|account_deactivated",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"context[_ ](?:length|window)|maximum (?:context|model) len", re.IGNORECASE)
_REFUSING = re.compile(
    r"unsupported|not? support|unrecogni[sz]ed|unknown|unexpected|not allowed|not permitted"
    r"|only the default|does not|must be|invalid|extra",
    re.IGNORECASE,
)
_DEPTH = 8


@dataclass(frozen=True)
class Complaint:
    """One error of a server.

    Attributes:
        status: of HTTP.
        message: the server's own words, in one short line.
        body: all that it said.
        places: the parameters that the error itself says it is about.
        retry_after_s: how long the server asks to wait; 0 if it does not say.
    """

    status: int
    message: str
    body: str
    places: tuple[str, ...] = ()
    retry_after_s: float = 0.0

    @property
    def filtered(self) -> bool:
        """Whether a provider's filter refuses the query: an answer, not a failure."""
        return self.status in (400, 403, 422, 451) and bool(_FILTERED.search(self.body))

    @property
    def used_up(self) -> bool:
        """Whether nothing is left to pay with, so that waiting does not help."""
        if self.status == 402:
            return True
        limited = self.status in (400, 403, 429) and not self.retry_after_s
        return limited and bool(_USED_UP.search(self.body))

    def refused(self, sent: Collection[str]) -> set[str]:
        """Which of the parameters that were sent the server refuses; where it says so best.

        That is the place that the error names, else its message, else anywhere in the body.
        """
        sure = self.status in (400, 422)
        if not sure and not (self.status in (404, 405, 415, 500, 501) and self._refusing):
            return set()
        if _TOO_LONG.search(self.body):
            return set()
        named = {name for name in sent if name in self.places}
        for text in (self.message, self.body):
            named = named or {name for name in sent if _names(text, name)}
        return named

    @property
    def _refusing(self) -> bool:
        return bool(_REFUSING.search(self.body))


def read_complaint(status: int, body: bytes, retry_after: str = "") -> Complaint:
    """An error from its status, body and Retry-After header; never fails.

    An error that comes with status 200 has the status that it says itself, or 400.
    """
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if status == 200 and isinstance(found, dict) and found.get("error"):
        code = found["error"].get("code") if isinstance(found["error"], dict) else None
        status = code if type(code) is int and 400 <= code < 600 else 400
    message = next(_messages(found), text) if found is not None else text
    unescaped = text.replace('\\"', '"').replace("\\'", "'")
    return Complaint(
        status,
        " ".join("".join(c if c.isprintable() else " " for c in message).split())[:200],
        unescaped,
        tuple(_places(found)),
        wait_seconds(retry_after),
    )


def wait_seconds(retry_after: str) -> float:
    """Seconds of a Retry-After header, which may be a date; 0 for what is neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _messages(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts of an error, the likeliest first."""
    if depth > _DEPTH:
        return
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _messages(item, depth + 1)
    elif isinstance(value, dict):
        for key in ("error", "message", "detail", "msg", "errors", "title", "code"):
            yield from _messages(value.get(key), depth + 1)


def _places(value: Any, depth: int = 0) -> Iterator[str]:
    """The parameters that an error names in `param`, or at the end of `loc` or `path`."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _places(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            last = item[-1] if isinstance(item, list) and item else item
            if key in ("param", "parameter", "loc", "path", "field") and isinstance(last, str):
                yield last.rpartition(".")[2].rpartition("/")[2]
            elif key != "input":  # the request, echoed
                yield from _places(item, depth + 1)


def _names(text: str, parameter: str) -> bool:
    """Whether a text is about a parameter; a short name must stand in quotes or with a sign."""
    if any(f"{quote}{parameter}{quote}" in text for quote in "'\"`"):
        return True
    if len(parameter) > 1:
        return bool(re.search(rf"(?<![\w]){re.escape(parameter)}(?![\w])", text))
    return bool(re.search(rf"(?<![\w']){parameter}\s*(?:=|>|must\b|should\b|is not\b)", text))
