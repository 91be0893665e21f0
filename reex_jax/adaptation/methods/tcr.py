"""TCR: predictions over the batch's candidates, robust entropy, uniformity, modality gap."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reex_jax.adaptation.masked import masked_mean, masked_share
from reex_jax.adaptation.objective import Batch, Loss, Objective
from reex_jax.adaptation.source_pairs import (
    SourcePairs,
    gap_loss,
    no_pairs,
    remember_pairs,
    stored,
    uniformity_loss,
)
from reex_jax.arrays import cosines, entropy, log_softmax_at
from reex_jax.settings.methods import Tcr


def tcr(settings: Tcr) -> Objective:
    """Li et al., "Test-time Adaptation for Cross-modal Retrieval with Query Shift", ICLR 2025.

    Each query's prediction is over the candidates of its batch, the nearest gallery items of all
    its queries. Loss: entropies below the bound E, weighted 1 - H / E (REM), uniformity of the
    queries (UNI) and the gap to the gallery (EMG); E and the wanted gap come from the most
    source-like pairs.
    """

    def loss(batch: Batch, pairs: SourcePairs) -> Loss:
        items = nearest_items(batch)
        logits = jnp.where(batch.mask[None, :], cosines(batch.queries, items), -jnp.inf)
        temperature = settings.relative_temperature * batch.temperature
        entropies = entropy(log_softmax_at(logits, temperature))
        pairs = remember_pairs(
            pairs, batch, items, entropies, share=settings.share, batches=settings.batches
        )
        bound = jnp.where(stored(pairs), pairs.entropies, -jnp.inf).max()
        trusted = batch.mask & (entropies <= bound)
        weights = jnp.maximum(0.0, 1 - entropies / jnp.where(trusted.any(), bound + 1e-3, 1.0))
        value = masked_mean(entropies * jax.lax.stop_gradient(weights), trusted)
        value += settings.uniformity_weight * uniformity_loss(batch)
        value += settings.gap_weight * gap_loss(batch, items, pairs)
        return Loss(value, pairs, confident=masked_share(trusted, batch.mask))

    return Objective(loss, no_pairs)


def nearest_items(batch: Batch) -> Float[Array, "batch dim"]:
    """The gallery item nearest to each query, constant."""
    return batch.part.at(batch.best(1)[1][:, 0])
