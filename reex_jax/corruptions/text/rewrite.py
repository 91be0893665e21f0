"""Rewrites captions once, before any run, and stores them.

What rewrites is handed in, so that this package needs no model and no server. An interrupted pass
goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from reex_jax.corruptions.text.json_lines import read_json_lines
from reex_jax.corruptions.text.sentence_prompts import (
    PROMPT_VERSION,
    SENTENCE_KINDS,
    SENTENCE_PROMPTS,
)
from reex_jax.corruptions.text.sentences import SentenceRewrites, read_rewrites
from reex_jax.errors import UserError, unknown
from reex_jax.progress import Progress

Rewrite = Callable[[str, Sequence[str]], list[str]]
"""(instruction, captions) -> as many texts, in the same order. The instruction is one of
SENTENCE_PROMPTS; each caption is to be sent as a message of its own."""


@dataclass(frozen=True)
class Report:
    """What a pass did.

    Attributes:
        written: how many captions were rewritten now.
        present: how many were in the file already.
        kept: how many of those written are the original, since the answer was of no use.
    """

    written: int
    present: int
    kept: int


def rewrite_captions(
    captions: Mapping[str, str],
    kinds: Sequence[str],
    factory: Callable[[str], Rewrite],
    out: Path,
    *,
    rewriter: str,
    batch_size: int = 32,
    progress: bool = False,
) -> Report:
    """Writes every caption in every kind to `out`, after what is there already.

    An answer that is empty, or three times as long and 60 characters more, is replaced by the
    caption itself; white space is reduced to single spaces.

    Args:
        captions: caption id -> caption.
        kinds: of SENTENCE_KINDS, each once.
        factory: kind -> what rewrites it.
        out: a file that `read_rewrites` reads; made if it is not there.
        rewriter: the rewriter's full name, stored with every text.
        batch_size: captions in one call of the rewriter; each batch is written at once.
        progress: whether to show a bar.

    Raises:
        UserError: an unknown kind, a file of other captions or another rewriter or one that cannot
            be written, or a rewriter that answers with another number of texts.
    """
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}; it must be at least 1")
    for kind in kinds:
        if kind not in SENTENCE_KINDS:
            raise unknown("sentence kind", kind, SENTENCE_KINDS)
    present = _present(out, rewriter)
    written = kept = 0
    todo = {
        kind: [name for name in captions if (kind, name) not in present.texts] for kind in kinds
    }
    for kind in kinds:
        done = [name for name in captions if (kind, name) in present.texts]
        present.check((kind,), done, [captions[name] for name in done])
    total = len(kinds) * len(captions)
    present_count = total - sum(map(len, todo.values()))
    with (
        _appending(out) as file,
        Progress(
            total, done=present_count, unit="caption", label="rewriting", shown=progress
        ) as bar,
    ):
        for kind, names in todo.items():
            rewrite = factory(kind) if names else None
            for start in range(0, len(names), batch_size):
                batch = names[start : start + batch_size]
                originals = [captions[name] for name in batch]
                texts = _answers(rewrite, kind, originals, rewriter)
                kept += _write(file, kind, batch, originals, texts, rewriter)
                written += len(batch)
                bar.update(len(batch))
    return Report(written, present_count, kept)


@contextmanager
def _appending(out: Path) -> Iterator[TextIO]:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.open("a", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check the path") from error
    with file:
        yield file


def _present(out: Path, rewriter: str) -> SentenceRewrites:
    """What the file has, without a last line that an interrupted pass left unfinished."""
    if not out.exists():
        return SentenceRewrites(str(out), {})
    content = out.read_bytes()
    if not content.endswith(b"\n"):
        out.write_bytes(content[: content.rfind(b"\n") + 1])
    present = read_rewrites(out)
    for (kind, name), rewritten in present.texts.items():
        if rewritten.made_by != (PROMPT_VERSION, rewriter):
            version, other = rewritten.made_by
            raise UserError(
                f"{out}: the {kind} text of caption {name!r} was made by {other!r} with prompts "
                f"of version {version}, not by {rewriter!r} with version {PROMPT_VERSION}; a file "
                "holds the texts of one rewriter, so name another with --out"
            )
    return present


def _answers(
    rewrite: Rewrite | None, kind: str, originals: Sequence[str], rewriter: str
) -> list[str]:
    assert rewrite is not None  # there is one wherever there is a caption
    texts = rewrite(SENTENCE_PROMPTS[kind], originals)
    if len(texts) != len(originals):
        raise UserError(
            f"rewriter {rewriter}: {len(texts)} texts for {len(originals)} captions of kind "
            f"{kind}; it must answer every caption, in order"
        )
    return texts


def _write(
    file: TextIO,
    kind: str,
    names: Sequence[str],
    originals: Sequence[str],
    texts: Sequence[str],
    rewriter: str,
) -> int:
    """Writes one batch; returns how many originals were kept."""
    kept = 0
    for name, original, answer in zip(names, originals, texts, strict=True):
        text = " ".join(answer.split()) if isinstance(answer, str) else ""
        text = text.encode("utf-8", "ignore").decode()  # no halves of characters
        useful = 0 < len(text) <= 3 * len(original) + 60
        kept += not useful
        record = {
            "caption_id": name,
            "kind": kind,
            "original": original,
            "text": text if useful else original,
            "prompt_version": PROMPT_VERSION,
            "rewriter": rewriter,
        }
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
    file.flush()
    return kept


def read_caption_list(path: Path) -> dict[str, str]:
    """Caption id -> caption, from a file with {"caption_id", "caption"} a line.

    Raises:
        UserError: naming the line that is wrong.
    """
    captions: dict[str, str] = {}
    advice = "make it with `python -m reex_jax list-captions`"
    for place, record in read_json_lines(path, ("caption_id", "caption"), advice=advice):
        name, caption = record["caption_id"], record["caption"]
        if not caption.strip():
            raise UserError(f"{place}: caption {name!r} is empty; mend or remove it")
        if name in captions:
            raise UserError(f"{place}: caption {name!r} is there twice; keep one of them")
        captions[name] = caption
    if not captions:
        raise UserError(f"{path}: no captions; {advice}")
    return captions
