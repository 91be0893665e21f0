"""The offline pass: every text query of an experiment through a rewriter into the cache."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache, CacheWriter, unique
from reex_jax.gsr.repair import FAILED, REPAIRED, UNCHANGED, Repair, Rewriter
from reex_jax.progress import Progress

PART_ROWS = 2000
_FIRST_SHARE, _SMALLEST_SHARE = 32, 8  # texts that a pass takes on at a time
_SHARE_S = 20.0  # seconds that a share should take
_WAIT_S, _PATIENCE_S = 0.1, 120.0  # between looks at what other passes have; until it is stuck
_MOST_FAILURES = 20  # one after the other: then the server is down, and asking on is in vain
_BINS = 10


@dataclass
class Outcomes:
    """What became of texts.

    Attributes:
        asked: how many there are.
        reasons: how often each outcome came up.
        bins: how many repairs had a generation confidence in each tenth from 0 to 1.
        without_confidence: how many repairs had none.
        prompt_tokens, reply_tokens: of all replies.
    """

    asked: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)
    without_confidence: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0

    def count(self, repair: Repair) -> None:
        """Adds one answer."""
        self.asked += 1
        self.reasons[FAILED if repair.failed else repair.reason] += 1
        self.prompt_tokens += repair.prompt_tokens
        self.reply_tokens += repair.reply_tokens
        if repair.reason != REPAIRED:
            return
        if repair.generation is None:
            self.without_confidence += 1
        else:
            self.bins[min(int(_BINS * repair.generation), _BINS - 1)] += 1

    def numbers(self) -> str:
        """How many of each kind, in words."""
        others = {
            reason: count
            for reason, count in self.reasons.items()
            if reason not in (REPAIRED, UNCHANGED, FAILED)
        }
        refused = "".join(f", {reason} {count}" for reason, count in sorted(others.items()))
        return (
            f"{self.reasons[REPAIRED]} repaired, {self.reasons[UNCHANGED]} unchanged, "
            f"{sum(others.values())} replies not used{refused and f' ({refused[2:]})'}"
        )

    def details(self, prompt_price: float, reply_price: float) -> Iterator[str]:
        """Confidences and tokens; prices are those of a million."""
        if any(self.bins):
            shares = "  ".join(f"{i / _BINS:.1f}: {n}" for i, n in enumerate(self.bins))
            yield f"confidence of repairs, by tenth: {shares}"
        if self.without_confidence:
            yield f"repairs without confidence: {self.without_confidence}"
        if self.prompt_tokens or self.reply_tokens:
            cost = (self.prompt_tokens * prompt_price + self.reply_tokens * reply_price) / 1e6
            price = f", cost {cost:.4f}" if prompt_price or reply_price else ""
            yield f"tokens: {self.prompt_tokens} read, {self.reply_tokens} written{price}"


@dataclass
class PassSummary(Outcomes):
    """What a pass did, and what there is when it ends.

    Attributes:
        cached: texts that the cache had before, or got from passes beside this one.
        failed_in_a_row: how many of the latest texts failed.
        seconds: how long it took.
        whole: every answer to the texts that is filed when the pass ends, those of earlier passes
            too; empty where there were none. Passes beside this one may file their last later.
    """

    cached: int = 0
    failed_in_a_row: int = 0
    seconds: float = 0.0
    whole: Outcomes = field(default_factory=Outcomes)

    def count(self, repair: Repair) -> None:
        """Adds one answer of this pass."""
        super().count(repair)
        self.failed_in_a_row = self.failed_in_a_row + 1 if repair.failed else 0

    def lines(self, prompt_price: float = 0.0, reply_price: float = 0.0) -> Iterator[str]:
        """The summary to print; prices are those of a million tokens."""
        yield (
            f"{self.cached} in the cache before; asked {self.asked}: {self.numbers()}, "
            f"{self.reasons[FAILED]} failed; {self.seconds:.1f} s"
        )
        if self.whole.asked:
            yield f"all {self.whole.asked} in the cache: {self.whole.numbers()}"
        yield from (self.whole if self.whole.asked else self).details(prompt_price, reply_price)


def run_pass(
    rewriter: Rewriter, folder: Path, texts: Iterable[str], *, progress: bool = True
) -> PassSummary:
    """Asks for every text that the cache lacks, and stores each answer as it arrives.

    Killed at any moment, it has lost nothing but the requests that were on their way, and the next
    pass asks for the rest only. Passes that run at the same time on one machine ask for different
    texts, a few at a time, and wait for each other at the end. Failed texts are not stored: the
    next pass asks again.

    Args:
        rewriter: whom to ask.
        folder: of the cache; made if missing.
        texts: queries, repeated or not.
        progress: shows done, rate and time left: a bar on a terminal, else a line now and then.

    Raises:
        UserError: the cache cannot be read or written; the rewriter cannot work at all, or failed
            for 20 texts in a row. What was answered before is stored.
    """
    began = time.perf_counter()
    cache, wanted = Cache(folder), unique(texts)
    summary, work = PassSummary(), _Work()
    with cache.writer(rewriter.identity) as writer:
        left = cache.missing(rewriter.identity, wanted)
        summary.cached = len(wanted) - len(left)
        with Progress(
            len(wanted), done=summary.cached, unit="query", label="repairs", shown=progress
        ) as bar:
            while left:
                claim = writer.claim(left, work.size, shared=work.impatient)
                others = len(left) - len(claim.unanswered)
                summary.cached += others
                bar.update(others)
                if claim.mine:
                    with work.timed(len(claim.mine)):
                        _ask(rewriter, claim.mine, writer, summary, bar)
                elif claim.unanswered:
                    writer.finish_part()
                    work.wait(changed=bool(others))
                left = _without(claim.unanswered, claim.mine)
                if len(writer) >= PART_ROWS or not left:
                    writer.finish_part()
    if summary.cached:
        for repair in cache.read(rewriter.identity, wanted).values():
            summary.whole.count(repair)
    summary.seconds = time.perf_counter() - began
    return summary


def _ask(
    rewriter: Rewriter, texts: list[str], writer: CacheWriter, summary: PassSummary, bar: Progress
) -> None:
    for repair in rewriter.rewrite(texts):
        summary.count(repair)
        bar.update()
        if summary.failed_in_a_row >= _MOST_FAILURES:
            raise UserError(
                f"{summary.failed_in_a_row} queries in a row failed, the last with "
                f"'{repair.reason}'; the answers until then are in {writer.cache.folder}. See to "
                "the server and start again"
            )
        if not repair.failed:
            writer.add(repair)


def _without(texts: list[str], gone: list[str]) -> list[str]:
    known = set(gone)
    return [text for text in texts if text not in known]


@dataclass
class _Work:
    """How much a pass takes on at a time: few texts first, then what takes about `_SHARE_S`.

    Few, so that passes that start together share the work; not too few, since at the end of each
    share all its replies are waited for.
    """

    target: int = _FIRST_SHARE
    waiting_since: float | None = None

    def size(self, free: int) -> int:
        """How many of the free texts to ask for; a quarter, so that no pass idles at the end."""
        return max(1, min(self.target, PART_ROWS, max(_SMALLEST_SHARE, free // 4)))

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Measures how long a share takes."""
        began = time.monotonic()
        self.waiting_since = None
        yield
        seconds = max(time.monotonic() - began, 1e-3)
        self.target = max(_SMALLEST_SHARE, min(4 * count, int(count * _SHARE_S / seconds)))

    def wait(self, *, changed: bool) -> None:
        """Gives the passes beside this one a moment for what only they are asking for."""
        if self.waiting_since is None or changed:
            self.waiting_since = time.monotonic()
        time.sleep(_WAIT_S)

    @property
    def impatient(self) -> bool:
        """Whether the others have answered nothing for so long that they may be stuck."""
        since = self.waiting_since
        return since is not None and time.monotonic() - since > _PATIENCE_S
