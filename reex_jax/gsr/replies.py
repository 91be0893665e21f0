"""Is a model's reply a repair of the query, or something else?"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Container, Sequence
from itertools import product

from rapidfuzz.distance import OSA, Indel, Opcodes

from reex_jax.gsr.completion import Choice, own_confidence
from reex_jax.gsr.repair import Repair, accepted, no_repair
from reex_jax.gsr.unwrap import begins_like, unwrap
from reex_jax.gsr.words import Piece, split_pieces

EMPTY = "empty"
TOO_LONG = "over twice the length"
EXPLANATION = "explanation"
REFUSAL = "refusal"
LANGUAGE = "another language"
OTHER = "another text"
DROPPED = "drops words"
CUT = "cut off"
# Edit distance as a share of the longer text; a reply farther than this is no repair.
_MOST_CHANGED = 0.6
_MOST_STEPS = 10_000  # pairs of words that are compared one by one
_STRAY = 3  # letters from which a word that nobody knows is no stray mark
_SINGLE = frozenset(string.ascii_lowercase) - {"a", "i"}
_REFUSAL = re.compile(
    r"(?:i['\u2019]?m|i am) (?:sorry|unable|not able)|i (?:can(?:not|['\u2019]?t)|won['\u2019]?t"
    r"|apologi[sz]e)|sorry\b|as an ai\b|i['\u2019]?m an ai\b|unfortunately\b",
    re.IGNORECASE,
)
_EXPLANATION = re.compile(
    r"(?:sure|certainly|of course|okay|ok\b|yes\b|no problem|got it"
    r"|here(?:['\u2019]s| is| are| you)"
    r"|corrected\b|mended\b|repaired\b|query\s*:|note\s*:|answer\s*:|output\s*:"
    r"|i (?:have|['\u2019]ve) |the (?:corrected|mended|repaired|query|text|sentence) )",
    re.IGNORECASE,
)
_MARKUP = frozenset("{}[]<>|`*#~^\\_=\u2192\u00ab\u00bb()")
"""Signs that a repair does not add to a query; notes and markup do."""


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
    repaired = unwrap(text, reply)
    fault = find_fault(text, repaired, words)
    return no_repair(text, fault, tokens) if fault else accepted(text, repaired, generation, tokens)


def choose_repair(
    text: str, choices: Sequence[Choice], words: Container[str], tokens: tuple[int, int] = (0, 0)
) -> Repair:
    """The repair that most samples agree on, the earliest of equals.

    Its confidence is that of its own tokens where these are known, else, of several samples, the
    share that agrees (apart from case and white space), else None.

    Args:
        text: the query.
        choices: the samples, at least one.
        words: words in lower case that a dictionary knows.
        tokens: of prompt and replies.
    """
    usable = [choice for choice in choices if not choice.fault]
    if not usable:
        return no_repair(text, choices[0].fault, tokens)
    repairs = [unwrap(text, choice.text) for choice in usable]
    keys = [" ".join(repaired.lower().split()) for repaired in repairs]
    votes = Counter(keys)
    best = max(range(len(usable)), key=lambda i: votes[keys[i]])  # max keeps the first of equals
    fault = find_fault(text, repairs[best], words)
    if fault:
        return no_repair(text, fault, tokens)
    confidence = own_confidence(usable[best].tokens, repairs[best])
    if confidence is None and len(choices) > 1:
        confidence = votes[keys[best]] / len(choices)
    return accepted(text, repairs[best], confidence, tokens)


def find_fault(text: str, repaired: str, words: Container[str]) -> str:
    """Why an unwrapped reply is no repair of a query; "" if it is one."""
    if not repaired:
        return EMPTY
    for kind, fault in ((_REFUSAL, REFUSAL), (_EXPLANATION, EXPLANATION)):
        opening = kind.match(repaired)
        # Queries may begin so too, and then their repairs do.
        if opening and not begins_like(text, opening.group()):
            return fault
    lines = len(repaired.splitlines()) > max(1, len(text.splitlines()))
    if lines or (_MARKUP & set(repaired)) - set(text):
        return EXPLANATION
    if len(repaired) > 2 * len(text):
        return TOO_LONG
    if _scripts(repaired) - _scripts(text) or _lost_english(text, repaired, words):
        return LANGUAGE
    if OSA.normalized_distance(text.lower(), repaired.lower()) > _MOST_CHANGED:
        return OTHER
    return DROPPED if _drops_words(text, repaired, words) else ""


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


def _drops_words(text: str, repaired: str, words: Container[str]) -> bool:
    """Whether a word of the query is gone, and not just joined to its neighbour."""
    before, after = _worded(text, words), _worded(repaired, words)
    steps = Indel.opcodes([p.word for p in before], [p.word for p in after])
    return any(_drops(before[a:b], after[c:d]) for a, b, c, d in _blocks(steps))


def _worded(text: str, words: Container[str]) -> list[Piece]:
    """The pieces that have a letter or digit."""
    return [p for p in split_pieces(text, words) if any(c.isalnum() for c in p.word)]


def _blocks(steps: Opcodes) -> list[tuple[int, int, int, int]]:
    """Where two lists differ: deletions and insertions side by side are one block."""
    blocks: list[tuple[int, int, int, int]] = []
    for step in steps:
        if step.tag == "equal":
            continue
        place = (step.src_start, step.src_end, step.dest_start, step.dest_end)
        if blocks and blocks[-1][1] == place[0] and blocks[-1][3] == place[2]:
            last = blocks.pop()
            place = (last[0], place[1], last[2], place[3])
        blocks.append(place)
    return blocks


def _drops(before: Sequence[Piece], after: Sequence[Piece]) -> bool:
    """Whether the cheapest way from one list of words to the other leaves a word out.

    Words may also be mended one by one, joined and split. Stray letters, one or two that no word
    list knows, may go.
    """
    old, new = [p.word for p in before], [p.word for p in after]
    if len(old) * len(new) > _MOST_STEPS:
        return len("".join(old)) - len("".join(new)) >= _STRAY
    costs = {(0, 0): (0.0, 0)}
    for i, j in product(range(len(old) + 1), range(len(new) + 1)):
        ways = [costs[i, j]] if i == j == 0 else []
        if i:
            word, known = old[i - 1], before[i - 1].known and old[i - 1] not in _SINGLE
            dropped = int(known or len(word) >= _STRAY)
            cost, count = costs[i - 1, j]
            ways.append(
                (cost + len(word) - 0.5, count + dropped)
            )  # of equals, dropping is likelier
        if j:
            cost, count = costs[i, j - 1]
            ways.append((cost + len(new[j - 1]), count))
        for taken, given in ((1, 1), (2, 1), (1, 2)):
            if i >= taken and j >= given:
                cost, count = costs[i - taken, j - given]
                change = OSA.distance("".join(old[i - taken : i]), "".join(new[j - given : j]))
                ways.append((cost + change, count))
        costs[i, j] = min(ways)
    return costs[len(old), len(new)][1] > 0
