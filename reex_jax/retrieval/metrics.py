"""Retrieval metrics as pure NumPy functions of the ranks of the right answers.

`ranks` is always [num_queries, R] int, zero-based; -1 pads queries with fewer right answers.
"""

from collections.abc import Sequence

import numpy as np

from reex_jax.errors import UserError

KS = (1, 5, 10)


def best_ranks(ranks: np.ndarray) -> np.ndarray:
    """Zero-based rank of each query's best right answer: [num_queries] int64.

    Raises:
        UserError: not a matrix, no queries, or a query without any right answer.
    """
    ranks = np.asarray(ranks, np.int64)
    if ranks.ndim != 2 or ranks.size == 0:
        raise UserError(
            f"ranks must be [num_queries, R] with at least one query, not {ranks.shape}"
        )
    without = np.flatnonzero((ranks < 0).all(axis=1))
    if without.size:
        raise UserError(
            f"{without.size} queries have no right answer in the gallery, the first is query "
            f"{without[0]}; leave them out, recall is not defined for them"
        )
    return np.where(ranks < 0, np.iinfo(np.int64).max, ranks).min(axis=1)


def hits_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """Whether any right answer is among the first k: [num_queries] bool."""
    return best_ranks(ranks) < k


def average_precisions(ranks: np.ndarray) -> np.ndarray:
    """Average precision of each query over all its right answers: [num_queries] float64 in [0, 1].

    The mean over right answers of (right answers down to it) / (its one-based rank); see Manning,
    Raghavan and Schuetze, Introduction to Information Retrieval, section 8.4.
    """
    best_ranks(ranks)  # refuses what has no average precision
    ranks = np.asarray(ranks, np.int64)
    far = np.iinfo(np.int64).max
    ordered = np.sort(np.where(ranks < 0, far, ranks), axis=1)
    found = np.arange(1, ranks.shape[1] + 1)[np.newaxis, :]
    precisions = np.where(ordered < far, found / (ordered.astype(np.float64) + 1), 0.0)
    return precisions.sum(axis=1) / (ranks >= 0).sum(axis=1)


def retrieval_metrics(ranks: np.ndarray, ks: Sequence[int] = KS) -> dict[str, float]:
    """Recall@k and mAP in percent, and the one-based median rank of the best right answer.

    For example, ranks [[0, 2], [3, -1]] give recall@1 50, recall@5 100, mAP 54.17 (the mean of
    (1/1 + 2/3) / 2 and 1/4) and median_rank 2.5.

    Raises:
        UserError: see `best_ranks`.
    """
    recalls = {f"recall@{k}": 100.0 * float(hits_at(ranks, k).mean()) for k in ks}
    return recalls | {
        "mAP": 100.0 * float(average_precisions(ranks).mean()),
        "median_rank": float(np.median(best_ranks(ranks) + 1)),
    }


def bootstrap_interval(
    values: np.ndarray, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-query values (Efron, 1979).

    Args:
        values: [num_queries] numbers or bools.
        seed: of the resampling.
        resamples: how many.
        level: share of resampled means that lie inside.

    Raises:
        UserError: no values.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise UserError(f"a bootstrap needs [num_queries] values, not shape {values.shape}")
    # A multinomial draw of how often each distinct value is taken has the same distribution as
    # resampling one by one, and is thousands of times faster for hits, which are 0 or 1.
    distinct, counts = np.unique(values, return_counts=True)
    rng = np.random.default_rng(seed)
    taken = rng.multinomial(values.size, counts / values.size, size=resamples)
    means = taken @ distinct / values.size
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, *, seed: int, resamples: int = 1000
) -> float:
    """Two-sided p-value for "both methods have the same mean" on the same queries.

    Resamples the per-query differences, shifted to mean 0 (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, section 16.4); the smallest p is 1 / (resamples + 1).

    Args:
        first: [num_queries] numbers or bools of one method, for example its `hits_at`.
        second: the same of the other, queries in the same order.
        seed: of the resampling.
        resamples: how many.

    Raises:
        UserError: not as many values, or none.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise UserError(
            f"a paired test needs one value per query of both methods, not {first.shape} and "
            f"{second.shape}"
        )
    distinct, counts = np.unique(first - second, return_counts=True)
    observed = counts @ distinct / first.size
    rng = np.random.default_rng(seed)
    taken = rng.multinomial(first.size, counts / first.size, size=resamples)
    shifted = taken @ distinct / first.size - observed
    # The slack keeps a resample that equals the observation from being lost to rounding.
    extreme = int((np.abs(shifted) >= abs(observed) - 1e-12).sum())
    return (1 + extreme) / (1 + resamples)


def recall_interval(ranks: np.ndarray, *, seed: int, k: int = 1) -> dict[str, float]:
    """The 95 % bootstrap interval of recall@k in percent, as `recall@k_low` and `recall@k_high`."""
    low, high = bootstrap_interval(hits_at(ranks, k), seed=seed)
    return {f"recall@{k}_low": 100 * low, f"recall@{k}_high": 100 * high}
