"""The offline pass: every text query of an experiment through a rewriter into the cache."""

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache, unique
from reex_jax.gsr.repair import FAILED, REPAIRED, UNCHANGED, Repair, Rewriter

PART_ROWS = 2000
_MOST_FAILURES = 20  # one after the other: then the server is down, and asking on is in vain
_BINS = 10


@dataclass
class PassSummary:
    """What a pass did.

    Attributes:
        asked: texts given to the rewriter in this pass.
        cached: texts that the cache had before.
        reasons: how often each outcome came up.
        failed_in_a_row: how many of the latest texts failed.
        bins: how many repairs had a generation confidence in each tenth from 0 to 1.
        without_confidence: how many repairs had none.
        prompt_tokens, reply_tokens: of all replies.
        seconds: how long it took.
    """

    asked: int = 0
    cached: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failed_in_a_row: int = 0
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)
    without_confidence: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    seconds: float = 0.0

    def count(self, repair: Repair) -> None:
        """Adds one answer."""
        self.asked += 1
        self.reasons[FAILED if repair.failed else repair.reason] += 1
        self.failed_in_a_row = self.failed_in_a_row + 1 if repair.failed else 0
        self.prompt_tokens += repair.prompt_tokens
        self.reply_tokens += repair.reply_tokens
        if repair.reason != REPAIRED:
            return
        if repair.generation is None:
            self.without_confidence += 1
        else:
            self.bins[min(int(_BINS * repair.generation), _BINS - 1)] += 1

    def lines(self, prompt_price: float = 0.0, reply_price: float = 0.0) -> Iterator[str]:
        """The summary to print; prices are those of a million tokens."""
        others = {
            reason: count
            for reason, count in self.reasons.items()
            if reason not in (REPAIRED, UNCHANGED, FAILED)
        }
        refused = "".join(f", {reason} {count}" for reason, count in sorted(others.items()))
        yield (
            f"{self.cached} in the cache before; asked {self.asked}: "
            f"{self.reasons[REPAIRED]} repaired, {self.reasons[UNCHANGED]} unchanged, "
            f"{sum(others.values())} replies not used{refused and f' ({refused[2:]})'}, "
            f"{self.reasons[FAILED]} failed; {self.seconds:.1f} s"
        )
        if any(self.bins):
            shares = "  ".join(f"{i / _BINS:.1f}: {n}" for i, n in enumerate(self.bins))
            yield f"confidence of repairs, by tenth: {shares}"
        if self.without_confidence:
            yield f"repairs without confidence: {self.without_confidence}"
        if self.prompt_tokens or self.reply_tokens:
            cost = (self.prompt_tokens * prompt_price + self.reply_tokens * reply_price) / 1e6
            price = f", cost {cost:.4f}" if prompt_price or reply_price else ""
            yield f"tokens: {self.prompt_tokens} read, {self.reply_tokens} written{price}"


def run_pass(
    rewriter: Rewriter, folder: Path, texts: Iterable[str], *, progress: bool = True
) -> PassSummary:
    """Asks for every text that the cache lacks, and stores each answer as it arrives.

    Killed at any moment, it has lost nothing but the requests that were on their way, and the next
    pass asks for the rest only. Passes that run at the same time ask in different orders and take
    over each other's parts, so that they share most of the work. Failed texts are not stored: the
    next pass asks again.

    Args:
        rewriter: whom to ask.
        folder: of the cache; made if missing.
        texts: queries, repeated or not.
        progress: shows done, rate and time left on a terminal.

    Raises:
        UserError: the cache cannot be read or written; the rewriter cannot work at all, or failed
            for 20 texts in a row. What was answered before is stored.
    """
    began = time.perf_counter()
    cache, wanted, summary = Cache(folder), unique(texts), PassSummary()
    with cache.writer(rewriter.identity) as writer:
        pending = cache.missing(rewriter.identity, wanted)
        summary.cached = len(wanted) - len(pending)
        random.SystemRandom().shuffle(pending)  # another order than a pass beside this one
        hidden = None if progress else True
        with tqdm(total=len(wanted), initial=summary.cached, unit="query", disable=hidden) as bar:
            for start in range(0, len(pending), PART_ROWS):
                chunk = pending[start : start + PART_ROWS]
                mine = cache.missing(rewriter.identity, chunk)
                bar.update(len(chunk) - len(mine))
                summary.cached += len(chunk) - len(mine)
                for repair in rewriter.rewrite(mine):
                    summary.count(repair)
                    bar.update()
                    if summary.failed_in_a_row >= _MOST_FAILURES:
                        raise UserError(
                            f"{summary.failed_in_a_row} queries in a row failed, the last with "
                            f"'{repair.reason}'; the answers until then are in {folder}. See to "
                            "the server and start again"
                        )
                    if not repair.failed:
                        writer.add(repair)
                writer.finish_part()
    summary.seconds = time.perf_counter() - began
    return summary
