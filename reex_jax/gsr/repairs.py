"""The repairs of an experiment's text queries, as a run looks them up batch by batch."""

import shlex
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache, unique
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.features import FusionFeatures, features_of
from reex_jax.gsr.offline import run_pass
from reex_jax.gsr.repair import REPAIRED, UNCHANGED, Repair
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.redaction import redacted
from reex_jax.settings.choices import EMBEDDED
from reex_jax.settings.repair import RepairSettings


@dataclass(frozen=True, eq=False)
class Repairs:
    """Repairs by query.

    Attributes:
        identity: of the rewriter.
        by_text: query -> its repair.
        words: known words in lower case.
    """

    identity: str
    by_text: Mapping[str, Repair] = field(repr=False)
    words: Container[str] = field(repr=False)

    def lookup(self, texts: Sequence[str]) -> tuple[list[str], FusionFeatures]:
        """The repaired texts and the features of a batch of b queries, arrays [b] float32.

        Raises:
            UserError: a query that has no row in the cache.
        """
        missing = [text for text in texts if text not in self.by_text]
        if missing:
            raise UserError(
                f"the repair cache has no row for the query {missing[0]!r:.80}; run "
                "python -m reex_jax.gsr with the same configuration"
            )
        found = [self.by_text[text] for text in texts]
        return [item.repaired for item in found], features_of(found, self.words)

    def describe(self) -> str:
        """One line: how many queries have a repair, and what became of the others."""
        reasons = Counter(item.reason for item in self.by_text.values())
        unused = len(self.by_text) - reasons[REPAIRED] - reasons[UNCHANGED]
        return (
            f"{len(self.by_text):,} different text queries in the repair cache: "
            f"{reasons[REPAIRED]:,} repaired, {reasons[UNCHANGED]:,} unchanged, "
            f"{unused:,} whose reply was not used ({self.identity})"
        )


def ensure_repairs(
    settings: RepairSettings,
    texts: Iterable[str],
    arguments: Sequence[str] = (),
    *,
    at_once: bool = False,
    progress: bool = True,
) -> Repairs:
    """The repairs of all of an experiment's text queries.

    What the cache lacks is made here for the rewriter `none`, and if wanted for those that are
    embedded; else it is an error.

    Args:
        settings: with a rewriter.
        texts: every text query, repeated or not.
        arguments: the options of this command line, for the command that an error names.
        at_once: whether an embedded rewriter may make what is missing; for a data set of some
            thousand captions that takes seconds.
        progress: whether that shows a bar.

    Raises:
        UserError: queries without a row in the cache; the message holds the command that makes
            them. Or the cache is damaged.
    """
    wanted = unique(texts)
    dictionary = load_dictionary(settings.captions)
    rewriter = make_rewriter(settings, dictionary)
    if settings.rewriter == "none":
        found = {item.text: item for item in rewriter.rewrite(wanted)}
        return Repairs(rewriter.identity, found, dictionary.counts)
    folder = Path(settings.cache)
    found = Cache(folder).read(rewriter.identity, wanted)
    if len(found) < len(wanted) and settings.rewriter in EMBEDDED and at_once:
        summary = run_pass(rewriter, folder, wanted, progress=progress)
        print(f"repaired text queries into {folder}: {next(summary.lines())}", flush=True)
        found = Cache(folder).read(rewriter.identity, wanted)
    if len(found) < len(wanted):
        raise UserError(
            f"{len(wanted) - len(found)} of {len(wanted)} text queries have no row in the "
            f"repair cache {folder} for '{rewriter.identity}'; make them with: "
            f"{offline_command(arguments)}"
        )
    return Repairs(rewriter.identity, found, dictionary.counts)


def rewriter_identity(settings: RepairSettings) -> str:
    """The identity of the rewriter that settings name; see `Rewriter`.

    Raises:
        UserError: as `make_rewriter`, or `gsr.captions` cannot be read.
    """
    return make_rewriter(settings, load_dictionary(settings.captions)).identity


def offline_command(arguments: Sequence[str]) -> str:
    """The command that fills the cache for a run with these options, secrets left out."""
    options = (
        redacted(shlex.join(arguments)) or "--config=experiments/<the same file and options>.py"
    )
    return f"python -m reex_jax.gsr {options}"
