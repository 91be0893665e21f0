"""What a rewriter answers: the repaired text, how sure it is, or why there is no repair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

REPAIRED, UNCHANGED = "repaired", "unchanged"
FAILED = "failed"
"""The reason that begins with this word is about the server, not about the text: ask again."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One query and its repair.

    Attributes:
        text: the query as it arrived.
        repaired: the repair, or `text` where there is none.
        generation: generation confidence in [0, 1]; None where the rewriter cannot tell.
        reason: "repaired", "unchanged", or why the reply was not used.
        prompt_tokens, reply_tokens: what the model read and wrote; 0 for `symspell`.
    """

    text: str
    repaired: str
    generation: float | None
    reason: str
    prompt_tokens: int = 0
    reply_tokens: int = 0

    @property
    def failed(self) -> bool:
        """Whether there was no usable reply at all, so that the query may be asked again."""
        return self.reason.startswith(FAILED)


def accepted(
    text: str, repaired: str, generation: float | None, tokens: tuple[int, int] = (0, 0)
) -> Repair:
    """A reply that passed its checks."""
    return Repair(text, repaired, generation, UNCHANGED if repaired == text else REPAIRED, *tokens)


def no_repair(text: str, reason: str, tokens: tuple[int, int] = (0, 0)) -> Repair:
    """A reply that is not used: the original with confidence 0."""
    return Repair(text, text, 0.0, reason, *tokens)


class Rewriter(Protocol):
    """Repairs texts.

    Attributes:
        identity: all that decides a reply: model, prompt version, settings. Equal identities may
            share a cache.
    """

    @property
    def identity(self) -> str: ...

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, in the order in which they are finished."""
        ...


class NoRewriter:
    """Leaves every text as it is: `none`, for ablations."""

    identity = "none"

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """Each text as its own repair, with confidence 1."""
        return (accepted(text, text, 1.0) for text in texts)
