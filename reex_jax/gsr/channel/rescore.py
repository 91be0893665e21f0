"""A rewriter that lets a language model choose among the channel's likeliest sentences.

The model never writes: it only says how likely each of the n best readings is. So it cannot drift,
answer or obey a query, and a small one is of use.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reex_jax.errors import UserError
from reex_jax.gsr.channel.rewriter import ChannelRewriter
from reex_jax.gsr.repair import Repair, accepted

LEAD = "A caption of a photo:"
"""What the model reads before each sentence. Part of a scorer's identity."""


class Scorer(Protocol):
    """A causal language model that reads.

    Attributes:
        identity: all that decides a score.
    """

    @property
    def identity(self) -> str: ...

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[list[float]]:
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
                    continue
                totals = [
                    item.edits + self.pair_weight * item.language + self.model_weight * score
                    for item, score in zip(items, next(scores), strict=True)
                ]
                best, share = choose(totals)
                yield accepted(text, items[best].text, share)


def choose(totals: Sequence[float]) -> tuple[int, float]:
    """Place of the highest log score, and its posterior over the list.

    >>> choose([0.0, -math.inf])
    (0, 1.0)
    """
    best = max(range(len(totals)), key=totals.__getitem__)
    return best, 1 / math.fsum(math.exp(total - totals[best]) for total in totals)
