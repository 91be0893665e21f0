"""A rewriter that drifts, to measure how much harm of a bad model fusion lets through."""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reex_jax.gsr.repair import Repair, Rewriter, accepted


@dataclass(frozen=True)
class DriftingRewriter:
    """Another rewriter whose replies are spoilt at times, with full confidence.

    In a share of its replies every word of the given classes is swapped for another one of its
    class: fluent, well spelt, and wrong. Which replies, and for which words, depends on the text.

    Attributes:
        rewriter: the one that is spoilt.
        classes: words in lower case that may stand for each other, for example all colours.
        share: of the replies, in [0, 1].
    """

    rewriter: Rewriter
    classes: tuple[tuple[str, ...], ...]
    share: float = 1 / 3

    @property
    def identity(self) -> str:
        """The other's, and how it is spoilt."""
        return f"drifting share={self.share:.3f} of {self.rewriter.identity}"

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """The other's repairs, some of them spoilt."""
        return map(self._spoil, self.rewriter.rewrite(texts))

    def _spoil(self, repair: Repair) -> Repair:
        seed = hashlib.blake2b(repair.text.encode(), digest_size=8).digest()
        rng = random.Random(seed)
        if rng.random() >= self.share:
            return repair

        def other(match: re.Match[str]) -> str:
            word = match.group().lower()
            for words in self.classes:
                if word in words:
                    return rng.choice([w for w in words if w != word])
            return match.group()

        spoilt = re.sub(r"[A-Za-z]+", other, repair.repaired)
        return accepted(repair.text, spoilt, 1.0)
