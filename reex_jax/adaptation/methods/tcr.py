"""TCR: refined predictions, noise-robust entropy, uniformity and the modality gap."""

import jax
import jax.numpy as jnp

from reex_jax.adaptation.masked import entropy, log_softmax_at, masked_mean
from reex_jax.adaptation.objective import Batch, Loss, Objective
from reex_jax.adaptation.settings import check_positive, check_share, check_weights, check_whole
from reex_jax.adaptation.source_pairs import (
    SourcePairs,
    gap_loss,
    no_pairs,
    remember_pairs,
    stored,
    uniformity_loss,
)


def tcr(
    temperature: float = 0.02,
    share: float = 0.3,
    batches: int = 10,
    uniformity_weight: float = 1.0,
    gap_weight: float = 1.0,
) -> Objective:
    """Li et al., "Test-time Adaptation for Cross-modal Retrieval with Query Shift", ICLR 2025.

    Each query's prediction is over the candidates of its batch, the nearest gallery items of all
    its queries. Loss: entropies below the bound E, weighted 1 - H / E (REM), uniformity of the
    queries (UNI) and the gap to the gallery (EMG); E and the wanted gap come from the most
    source-like pairs.

    Args:
        temperature: of the softmax over the candidates.
        share: of each batch that is offered to the memory of source-like pairs.
        batches: how many batches fill that memory.
        uniformity_weight: of UNI.
        gap_weight: of EMG.

    Raises:
        UserError: a value out of range.
    """
    check_positive(temperature=temperature)
    check_share(share=share)
    check_whole(1, batches=batches)
    check_weights(uniformity_weight=uniformity_weight, gap_weight=gap_weight)

    def loss(batch: Batch, pairs: SourcePairs) -> Loss:
        items = nearest_items(batch)
        entropies = candidate_entropies(batch, items, temperature)
        pairs = remember_pairs(pairs, batch, items, entropies, share=share, batches=batches)
        bound = jnp.where(stored(pairs), pairs.entropies, -jnp.inf).max()
        trusted = batch.mask & (entropies <= bound)
        weights = jnp.maximum(0.0, 1 - entropies / jnp.where(trusted.any(), bound + 1e-3, 1.0))
        value = masked_mean(entropies * jax.lax.stop_gradient(weights), trusted)
        value += uniformity_weight * uniformity_loss(batch)
        value += gap_weight * gap_loss(batch, items, pairs)
        return Loss(value, pairs, confident=masked_mean(trusted.astype(jnp.float32), batch.mask))

    return Objective(loss, no_pairs)


def nearest_items(batch: Batch) -> jax.Array:
    """The gallery item nearest to each query, constant: [B, d] float32."""
    return batch.gallery[jnp.argmax(jax.lax.stop_gradient(batch.similarities), axis=1)]


def candidate_entropies(batch: Batch, items: jax.Array, temperature: float) -> jax.Array:
    """Entropy of each query's softmax over the batch's candidates: [B] float32."""
    logits = jnp.matmul(batch.queries, items.T, precision=jax.lax.Precision.HIGHEST)
    logits = jnp.where(batch.mask[None, :], logits, -jnp.inf)
    return entropy(log_softmax_at(logits, temperature))
