"""The captions of scenes in other sentences, by rules.

    python -m reex_jax.benchmark.list_captions --config=experiments/scenes_c.py \\
        --out=captions.jsonl
    python -m reex_jax.corruptions.text.rewrite --captions=captions.jsonl --out=sentences.jsonl \\
        --rewriter=reex_jax.datasets.scene_sentences:rule_rewriter

The grammar of these captions is ours and known, so that the five sentence kinds can be had without
a model: as a stand-in for the benchmark's kinds in tests and on the embedded data, not as a
measure of what a model's rewriting does. `back_translation` translates nothing: it takes other
words of the same meaning, as a translation there and back tends to.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reex_jax.datasets import scene_captions as grammar
from reex_jax.datasets.scene_world import Dice
from reex_jax.errors import UserError, unknown

_SAME_MEANING: tuple[tuple[str, ...], ...] = (
    *grammar.SHAPE_WORDS.values(),
    *grammar.COLOUR_WORDS.values(),
    *grammar.TEXTURE_WORDS.values(),
    *grammar.TEXTURE_TAILS.values(),
    *grammar.SIZE_WORDS.values(),
    *(tuple(word.strip() for word in words) for words in grammar.RELATIONS.values()),
    *grammar.COUNT_WORDS.values(),
    ("together with", "next to"),
)
_OTHERS = {
    word: tuple(dict.fromkeys(other for other in words if other != word))
    for words in _SAME_MEANING
    for word in words
}
_PHRASE = re.compile(
    r"\b(?:an? )?(" + "|".join(sorted(map(re.escape, _OTHERS), key=len, reverse=True)) + r")\b"
)
_OPENING = re.compile("|".join(re.escape(words) for words in grammar.OPENINGS if words))
_COUNT = re.compile("(" + "|".join(sum(grammar.COUNT_WORDS.values(), ())) + "): ")
_GROUND = (
    "an? (?:(?:"
    + "|".join(sum(grammar.GROUND_TEXTURE_WORDS.values(), ()))
    + ") )?(?:"
    + "|".join(sum(grammar.GROUND_WORDS.values(), ()))
    + ") (?:"
    + "|".join(grammar.GROUND_NOUNS)
    + ")"
)
_GROUND_FIRST = re.compile(f"({_GROUND}) with ")
_GROUND_LAST = re.compile(f" (on|against|in front of) ({_GROUND})$")
_VOCABULARY = {
    word
    for words in (*_SAME_MEANING, grammar.LINKS, ("a", "an", "shape"))
    for phrase in words
    for word in re.findall("[^ ,]+", phrase)
}
"""Every word that the things of a scene are described with."""
_CHANGED_PERCENT = 60
"""How many of the words that have others of their meaning `back_translation` changes."""


@dataclass(frozen=True)
class _Parts:
    """A caption taken apart: "[count: ]things[ preposition ground]"."""

    things: str
    count: str
    preposition: str
    ground: str

    def body(self, link: str = " ", things: str = "") -> str:
        """The whole as one noun phrase, with `link` before the place."""
        count = f"{self.count}: " if self.count else ""
        place = f"{link}{self.preposition} {self.ground}" if self.ground else ""
        return count + (things or self.things) + place


def _parse(caption: str) -> _Parts:
    body = caption.removesuffix(".")
    body = body[:1].lower() + body[1:] if caption.endswith(".") else body
    opening = _OPENING.match(body)
    body = body[opening.end() :] if opening else body
    first, last, count = _GROUND_FIRST.match(body), _GROUND_LAST.search(body), _COUNT.match(body)
    if first:
        return _Parts(body[first.end() :], "", "on", first[1])
    if last:
        return _Parts(body[: last.start()], "", last[1], last[2])
    if count:
        return _Parts(body[count.end() :], count[1], "", "")
    return _Parts(body, "", "", "")


def _formal(parts: _Parts, dice: Dice) -> str:
    verb = dice.pick(("depicts", "presents", "portrays"))
    things = parts.things.replace(" together with ", " in conjunction with ")
    things = things.replace(", also ", ", as well as ").replace(" next to ", " adjacent to ")
    noun = dice.pick(("image", "illustration", "composition"))
    return f"The present {noun} {verb} {parts.body(', situated ', things)}."


def _casual(parts: _Parts, dice: Dice) -> str:
    opening = dice.pick(("so there's like ", "just ", "basically ", "hey look, it's "))
    ending = dice.pick(("", " lol", ", I guess", ", pretty neat", " and that's it"))
    things = parts.things.replace(" to the left of ", " left of ")
    things = things.replace(" on the left side of ", " left of ")
    things = things.replace(" to the right of ", " right of ")
    return (
        opening + parts.body(" ", things.replace(" on the right side of ", " right of ")) + ending
    )


def _passive(parts: _Parts, dice: Dice) -> str:
    verb = dice.pick(("can be seen", "can be found", "may be observed"))
    return parts.body(f" {verb} ") if parts.ground else f"{parts.body()} {verb}"


def _active(parts: _Parts, dice: Dice) -> str:
    subject = dice.pick(("the picture shows", "someone has drawn", "the drawing has", "we see"))
    return f"{subject} {parts.body()}"


def _back_translation(parts: _Parts, dice: Dice) -> str:
    def other(match: re.Match[str]) -> str:
        options = _OTHERS[match[1]]
        if not options or not dice.chance(_CHANGED_PERCENT):
            return match[0]
        word = dice.pick(options)
        if match[0] == match[1]:
            return word
        return ("an " if word[0] in "aeiou" else "a ") + word

    opening = dice.pick(("on the picture you see ", "it is to see ", "there you find ", ""))
    things = _PHRASE.sub(other, parts.things)
    return opening + replace(parts, count=_PHRASE.sub(other, parts.count)).body(things=things)


_RULES: dict[str, Callable[[_Parts, Dice], str]] = {
    "formal": _formal,
    "casual": _casual,
    "passive": _passive,
    "active": _active,
    "back_translation": _back_translation,
}


def rewrite_scene_caption(caption: str, kind: str) -> str:
    """One caption of a scene in the sentence kind `kind`; equal arguments give equal text.

    Raises:
        UserError: an unknown kind, or a caption that scenes do not have.
    """
    if kind not in _RULES:
        raise unknown("sentence kind", kind, _RULES)
    parts = _parse(caption)
    words = set(re.findall("[^ ,]+", parts.things))
    if not words or not words <= _VOCABULARY:
        raise UserError(
            f"{caption!r:.80} is no caption of a scene; the rules know scenes only, so use a "
            "rewriter with a language model"
        )
    digest = hashlib.blake2b(f"{kind}:{caption}".encode(), digest_size=4).digest()
    return _RULES[kind](parts, Dice(int.from_bytes(digest, "little"), 0, 0))


def rule_rewriter(kind: str) -> Callable[[str, Sequence[str]], list[str]]:
    """A rewriter for `python -m reex_jax.corruptions.text.rewrite`; it needs no instruction."""
    return lambda instruction, captions: [rewrite_scene_caption(c, kind) for c in captions]
