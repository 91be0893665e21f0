"""Is a model's reply a repair of the query, or something else?"""

import json
import re
import unicodedata
from collections.abc import Container

from rapidfuzz.distance import OSA

from reex_jax.gsr.repair import Repair, accepted, no_repair
from reex_jax.gsr.words import split_pieces

EMPTY = "empty"
TOO_LONG = "over twice the length"
EXPLANATION = "explanation"
REFUSAL = "refusal"
LANGUAGE = "another language"
OTHER = "another text"
CUT = "cut off"
# Edit distance as a share of the longer text: a reply as near as this is a repair, whatever it
# begins with, for queries may begin so too; one farther than the other is none.
_LITTLE, _MOST_CHANGED = 0.2, 0.6
_REFUSAL = re.compile(
    r"(?:i['\u2019]?m|i am) (?:sorry|unable|not able)|i (?:can(?:not|['\u2019]?t)|won['\u2019]?t"
    r"|apologi[sz]e)|sorry\b|as an ai\b|i['\u2019]?m an ai\b|unfortunately\b",
    re.IGNORECASE,
)
_EXPLANATION = re.compile(
    r"(?:sure|certainly|of course|okay|here(?:['\u2019]s| is| are| you)|corrected\b|mended\b"
    r"|repaired\b|query\s*:|note\s*:|answer\s*:|output\s*:|i (?:have|['\u2019]ve) |"
    r"the (?:corrected|mended|repaired|query|text|sentence) )",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^\s*(?:mended|output)\s*:\s*", re.IGNORECASE)
_THOUGHTS = re.compile(r"^\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d"}


def check_reply(
    text: str,
    reply: str,
    words: Container[str],
    generation: float | None,
    tokens: tuple[int, int] = (0, 0),
) -> Repair:
    """The reply as a repair; one that is no repair becomes the original with confidence 0.

    Args:
        text: the query.
        reply: what the model answered.
        words: words in lower case that a dictionary knows.
        generation: confidence of the reply, None if unknown.
        tokens: of prompt and reply.

    Returns:
        A repair whose reason says what was wrong, if anything was.
    """
    repaired = clean_reply(text, reply)
    fault = find_fault(text, repaired, words)
    return no_repair(text, fault, tokens) if fault else accepted(text, repaired, generation, tokens)


def clean_reply(text: str, reply: str) -> str:
    """The reply without the wrapping that models like: thoughts, code fence, label, quotes."""
    reply = _THOUGHTS.sub("", reply).strip()
    fenced = re.fullmatch(r"```\w*\n(.*?)\n?```", reply, re.DOTALL)
    reply = fenced[1].strip() if fenced else reply
    if not _LABEL.match(text):
        reply = _LABEL.sub("", reply)
    if reply[:1] == '"' and text[:1] != '"':
        try:
            decoded = json.loads(reply)
        except json.JSONDecodeError:
            decoded = None
        if isinstance(decoded, str):
            return decoded.strip()
    wrapped = len(reply) >= 2 and _QUOTES.get(reply[0]) == reply[-1]
    return reply[1:-1].strip() if wrapped and reply[0] != text[:1] else reply


def find_fault(text: str, repaired: str, words: Container[str]) -> str:
    """Why a cleaned reply is no repair of a query; "" if it is one."""
    if not repaired:
        return EMPTY
    changed = OSA.normalized_distance(text.lower(), repaired.lower())
    if changed > _LITTLE and _REFUSAL.match(repaired):
        return REFUSAL
    lines = len(repaired.splitlines()) > max(1, len(text.splitlines()))
    if lines or (changed > _LITTLE and _EXPLANATION.match(repaired)):
        return EXPLANATION
    if len(repaired) > 2 * len(text):
        return TOO_LONG
    if _scripts(repaired) - _scripts(text) or _lost_english(text, repaired, words):
        return LANGUAGE
    return OTHER if changed > _MOST_CHANGED else ""


def _scripts(text: str) -> set[str]:
    """The scripts of a text's letters, for example {"LATIN"}."""
    return {unicodedata.name(c, "?").partition(" ")[0] for c in set(text) if c.isalpha()}


def _lost_english(text: str, repaired: str, words: Container[str]) -> bool:
    """Whether words were known, and after the repair most are not: a repair does the opposite."""

    def known_share(of: str) -> float:
        pieces = [piece for piece in split_pieces(of, words) if piece.word]
        return sum(piece.known for piece in pieces) / max(len(pieces), 1)

    after = known_share(repaired)
    return after < 0.5 and after < known_share(text)
