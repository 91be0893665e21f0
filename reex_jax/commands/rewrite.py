"""Rewrites the captions of a file in the sentence kinds, once, before any run.

    python -m reex_jax list-captions --config=EXPERIMENT.py --out=captions.jsonl
    python -m reex_jax rewrite --captions=captions.jsonl --out=sentences.jsonl \\
        --kinds=formal,casual --rewriter=MODULE:FACTORY --rewriter_args='{"model": "..."}'

FACTORY(kind, **arguments) returns a `Rewrite`. It is named, not imported, so that this package
needs no model and no server: whoever has one brings it. Interrupted, the same command goes on
where it stopped. Keys and passwords do not belong into --rewriter_args, which is stored.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from reex_jax.commands.arguments import Arguments
from reex_jax.corruptions.text.rewrite import (
    Report,
    Rewrite,
    read_caption_list,
    rewrite_captions,
)
from reex_jax.corruptions.text.sentence_prompts import SENTENCE_KINDS
from reex_jax.errors import UserError
from reex_jax.named import load_named


def rewrite(arguments: Arguments) -> None:
    """The command: what its options say.

    Raises:
        UserError: a batch size that is no number; see `rewrite_file`.
    """
    options = {name: value for name, value in arguments.options.items() if value}
    if "kinds" in options:
        options["kinds"] = options["kinds"].split(",")
    if "batch_size" in options:
        if not options["batch_size"].isdecimal() or int(options["batch_size"]) < 1:
            given = options["batch_size"]
            raise UserError(f"--batch_size is {given!r}; it must be a whole number from 1")
        options["batch_size"] = int(options["batch_size"])
    rewrite_file(**options)


def rewrite_file(
    captions: str | Path,
    out: str | Path,
    rewriter: str,
    rewriter_args: str = "",
    kinds: Sequence[str] = SENTENCE_KINDS,
    batch_size: int = 32,
) -> Report:
    """Rewrites the captions of a file into another one, and prints what happened.

    Args:
        captions: a file with {"caption_id": "...", "caption": "..."} a line.
        out: the file to write, or to go on with.
        rewriter: MODULE:FACTORY.
        rewriter_args: a JSON object of FACTORY's arguments, or an empty text.
        kinds: of SENTENCE_KINDS.
        batch_size: captions a call of what FACTORY returns.

    Raises:
        UserError: as `read_caption_list`, `named_factory` and `rewrite_captions`.
    """
    report = rewrite_captions(
        read_caption_list(Path(captions)),
        tuple(dict.fromkeys(kind.strip() for kind in kinds)),
        named_factory(rewriter, rewriter_args),
        Path(out),
        rewriter=f"{rewriter} {rewriter_args}".strip(),
        batch_size=batch_size,
        progress=True,
    )
    print(
        f"wrote {report.written} texts to {out}, {report.present} were there; "
        f"{report.kept} are the original, the answer being empty or too long"
    )
    return report


def named_factory(spec: str, arguments: str) -> Callable[[str], Rewrite]:
    """The factory that a command line names.

    Args:
        spec: "package.module:name" of a function (kind, **arguments) -> Rewrite.
        arguments: a JSON object with its arguments, or an empty text.

    Raises:
        UserError: there is no such thing, or the arguments are no object.
    """
    factory = load_named(spec, f"--rewriter={spec}:")
    try:
        keywords = json.loads(arguments or "{}")
    except ValueError as error:
        raise UserError(f"--rewriter_args is no JSON ({error}): {arguments!r}") from error
    if not isinstance(keywords, dict):
        raise UserError(f"--rewriter_args must be a JSON object, not {arguments!r}")

    def make(kind: str) -> Rewrite:
        try:
            return factory(kind, **keywords)
        except TypeError as error:
            raise UserError(f"--rewriter={spec} with {keywords}: {error}") from error

    return make
