"""A rewriter that lets a language model choose among the channel's likeliest sentences.

The model never writes: it only says how likely each of the n best readings is. So it cannot drift,
answer or obey a query, and a small one is of use.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rapidfuzz.distance import LCSseq

from reex_jax.errors import UserError
from reex_jax.gsr.channel.rewriter import ChannelRewriter, Reading
from reex_jax.gsr.repair import Repair, accepted, no_repair

LEAD = "A caption of a photo:"
"""What the model reads before each sentence. Part of a scorer's identity."""


class Scores(NamedTuple):
    """What a model makes of a list of sentences.

    Attributes:
        values: log probability of each; empty where there is a fault.
        prompt_tokens, reply_tokens: what a server read and wrote for it.
        fault: why there are none, as the reason of a `Repair`.
    """

    values: Sequence[float]
    prompt_tokens: int = 0
    reply_tokens: int = 0
    fault: str = ""


class Scorer(Protocol):
    """A causal language model that reads.

    Attributes:
        identity: all that decides a score.
    """

    @property
    def identity(self) -> str: ...

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[Scores]:
        """For each list of sentences, in order, their log probabilities.

        Only differences within a list count: what all its sentences share may be left out.

        Raises:
            UserError: the model cannot be had, or gives no log probabilities.
        """
        ...


@dataclass(frozen=True, eq=False)
class RescoringRewriter:
    """The channel's n best, chosen from by a language model.

    Attributes:
        channel: proposes.
        scorer: reads.
        count: readings of each text, from 2 on.
        model_weight: how much the model's log probability counts, against 1 for the channel's
            edits.
        pair_weight: how much the channel's own language still counts.
        batch: texts that are proposed and scored together.
    """

    channel: ChannelRewriter
    scorer: Scorer
    count: int = 16
    model_weight: float = 0.7
    pair_weight: float = 0.2
    batch: int = 64

    def __post_init__(self) -> None:
        """Checks the list's length."""
        if self.count < 2:
            raise UserError(f"gsr.n_best is {self.count}; to choose from, it must be at least 2")

    @property
    def identity(self) -> str:
        """Channel, scorer and weights."""
        return (
            f"rescore n_best={self.count} model_weight={self.model_weight:g} "
            f"pair_weight={self.pair_weight:g} scorer=({self.scorer.identity}) "
            f"channel=({self.channel.identity})"
        )

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, in order; those without a choice cost the model nothing."""
        for start in range(0, len(texts), self.batch):
            part = texts[start : start + self.batch]
            readings = list(self.channel.readings(part, self.count))
            asked = [[item.text for item in items] for items in readings if len(items) > 1]
            scores = self.scorer.score(asked)
            for text, items in zip(part, readings, strict=True):
                if len(items) == 1:
                    yield accepted(text, items[0].text, 1.0)
                else:
                    yield self._chosen(text, items, next(scores))

    def _chosen(self, text: str, items: Sequence[Reading], scores: Scores) -> Repair:
        tokens = scores.prompt_tokens, scores.reply_tokens
        if scores.fault:
            return no_repair(text, scores.fault, tokens)
        totals = [
            item.edits + self.pair_weight * item.language + self.model_weight * score
            for item, score in zip(items, scores.values, strict=True)
        ]
        best = max(range(len(totals)), key=totals.__getitem__)
        share = right_share([item.text for item in items], totals)
        return accepted(text, items[best].text, share, tokens)


def right_share(sentences: Sequence[str], totals: Sequence[float]) -> float:
    """The share of words of the likeliest sentence that are expected to be right.

    Each word's probability is that of all sentences of the list that have it at its place, so a
    doubt about one word of ten costs a tenth of the confidence, as in the channel itself.

    >>> right_share(["a red cat", "a red hat"], [0.0, 0.0])
    0.8333333333333334

    Args:
        sentences: at least one.
        totals: log score of each, apart from a constant.
    """
    best = max(range(len(totals)), key=totals.__getitem__)
    shares = [math.exp(total - totals[best]) for total in totals]
    words = sentences[best].split()
    if not words:
        return 1.0
    kept = 0.0
    for sentence, share in zip(sentences, shares, strict=True):
        kept += share * LCSseq.similarity(words, sentence.split())
    return min(kept / math.fsum(shares) / len(words), 1.0)
