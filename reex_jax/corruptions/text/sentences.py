"""Sentence kinds: whole captions in other words, made before the run and looked up by it.

Unlike the other kinds these need a model, so nothing is rewritten here: the texts come from a file
that `python -m reex_jax rewrite` makes, or from captions that were published. They
have one severity, and no seed changes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reex_jax.corruptions.text.json_lines import read_json_lines
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.errors import UserError, unknown

_NAMED = 5  # how many ids an error names before it only counts
_KEYS = ("caption_id", "kind", "original", "text")
_OPTIONAL = ("prompt_version", "rewriter")


@dataclass(frozen=True)
class Rewritten:
    """One caption in other words.

    Attributes:
        original: the caption as the data set has it.
        text: what stands in its place, not empty.
        made_by: (prompt version, rewriter's name), each None where the file does not say.
    """

    original: str
    text: str
    made_by: tuple[int | None, str | None] = (None, None)


@dataclass(frozen=True)
class SentenceRewrites:
    """Rewritten captions of any number of kinds.

    Attributes:
        source: where they come from, for error messages.
        texts: (kind, caption id) -> the caption and its new text.
    """

    source: str
    texts: Mapping[tuple[str, str], Rewritten]

    def text(self, kind: str, caption_id: str, caption: str) -> str:
        """The text that stands in the place of `caption`.

        Raises:
            UserError: it is missing, or was made from another caption.
        """
        self.check((kind,), (caption_id,), (caption,))
        return self.texts[kind, caption_id].text

    def check(
        self, kinds: Iterable[str], caption_ids: Sequence[str], captions: Sequence[str]
    ) -> None:
        """Refuses to begin a run that would lack a text.

        Raises:
            UserError: naming the captions that are missing or differ, and what makes them.
        """
        for kind in kinds:
            missing = [name for name in caption_ids if (kind, name) not in self.texts]
            if missing:
                raise UserError(
                    f"{self.source}: no {kind} text for {len(missing)} of {len(caption_ids)} "
                    f"captions: {_some(missing)}; {how_to_make((kind,))}"
                )
            for name, caption in zip(caption_ids, captions, strict=True):
                original = self.texts[kind, name].original
                if original != caption:
                    raise UserError(
                        f"{self.source}: the {kind} text of caption {name!r} was made from "
                        f"{original!r:.80}, but the data set has {caption!r:.80}; use the data "
                        f"set it was made for, or a new file: {how_to_make((kind,))}"
                    )


def how_to_make(kinds: Iterable[str]) -> str:
    """The advice that errors end with: the two commands that make a file of these kinds."""
    return (
        "make them with `python -m reex_jax list-captions --config=EXPERIMENT.py "
        "--out=captions.jsonl` and `python -m reex_jax rewrite "
        f"--captions=captions.jsonl --out=sentences.jsonl --kinds={','.join(kinds)} "
        "--rewriter=MODULE:FACTORY`"
    )


def rewrites_of(
    kind: str,
    caption_ids: Sequence[str],
    captions: Sequence[str],
    texts: Sequence[str],
    *,
    source: str,
) -> SentenceRewrites:
    """Rewrites from lists of equal order, such as two published annotation files give.

    Args:
        kind: one of SENTENCE_KINDS.
        caption_ids: as the data set has them.
        captions: the clean captions.
        texts: the same captions rewritten.
        source: the file of `texts`, for error messages.

    Raises:
        UserError: an unknown kind, unequal lengths, an id given twice, an empty text.
    """
    if kind not in SENTENCE_KINDS:
        raise unknown("sentence kind", kind, SENTENCE_KINDS)
    if not len(caption_ids) == len(captions) == len(texts):
        raise UserError(
            f"{source}: {len(texts)} {kind} texts for {len(captions)} captions with "
            f"{len(caption_ids)} ids; they must be as many, in the same order"
        )
    found: dict[tuple[str, str], Rewritten] = {}
    for name, caption, text in zip(caption_ids, captions, texts, strict=True):
        _add(found, kind, name, Rewritten(caption, text), source)
    return SentenceRewrites(source, found)


def read_rewrites(path: Path) -> SentenceRewrites:
    """Reads a file of rewritten captions.

    Args:
        path: UTF-8, an object {"caption_id", "kind", "original", "text"} a line, all strings;
            "prompt_version" and "rewriter" may be there too.

    Raises:
        UserError: naming the line: no such object, an unknown kind, an empty text, a caption that
            has two texts of one kind.
    """
    found: dict[tuple[str, str], Rewritten] = {}
    advice = how_to_make(SENTENCE_KINDS)
    for place, record in read_json_lines(path, _KEYS, _OPTIONAL, advice=advice):
        if record["kind"] not in SENTENCE_KINDS:
            raise unknown(f"sentence kind in {place}:", record["kind"], SENTENCE_KINDS)
        made_by = (record.get("prompt_version"), record.get("rewriter"))
        rewritten = Rewritten(record["original"], record["text"], made_by)
        _add(found, record["kind"], record["caption_id"], rewritten, place)
    return SentenceRewrites(str(path), found)


def _add(
    found: dict[tuple[str, str], Rewritten],
    kind: str,
    name: str,
    rewritten: Rewritten,
    place: str,
) -> None:
    if not isinstance(rewritten.text, str) or not rewritten.text.strip():
        raise UserError(f"{place}: the {kind} text of caption {name!r} is empty; mend it")
    if (kind, name) in found:
        raise UserError(f"{place}: caption {name!r} has two {kind} texts; keep one of them")
    found[kind, name] = rewritten


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(identity) for identity in ids[:_NAMED])
    return shown + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
