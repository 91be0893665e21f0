"""The likeliest way through the candidates of each word, and how likely each choice is."""

from collections.abc import Callable, Sequence

from reex_jax.gsr.channel.decode import best_sentence, posteriors

Candidates = Sequence[tuple[str, float]]
"""Words with their log likelihood, apart from context."""


def best_path(
    columns: Sequence[Candidates], log_probability: Callable[[str, str], float]
) -> tuple[list[int], list[float]]:
    """The path with the highest probability (Viterbi 1967) and its words' posteriors.

    Args:
        columns: for each word of a sentence its candidates, at least one.
        log_probability: (word, previous word or "") -> log probability.

    Returns:
        for each column the index of its word on the best path, and the posterior probability of
        that word given all columns (forward-backward; Rabiner 1989): 1 where it is alone.
    """
    steps, before = [], [""]
    for column in columns:
        steps.append([[log_probability(word, old) + fit for old in before] for word, fit in column])
        before = [word for word, _ in column]
    places = best_sentence(steps)
    return places, [own[at] for at, own in zip(places, posteriors(steps), strict=True)]
