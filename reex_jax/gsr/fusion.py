"""Confidence-guided fusion of a query's embedding with that of its repair.

The formulas are this project's own (docs/method.md). Each rule gives a weight w in [0, 1] for
every query by itself; the fused query is the normalised (1 - w) original + w repaired, with no
gradient through w. Embeddings and gallery items are unit rows.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reex_jax.arrays import unit
from reex_jax.gsr.features import FusionFeatures
from reex_jax.retrieval.part import Searched, as_part
from reex_jax.retrieval.softmax import softmax_over
from reex_jax.settings.repair import FusionSettings

Embeddings = Float[Array, "batch dim"]
Temperature = Float[Array, ""]
Weights = Float[Array, " batch"]

WeightRule = Callable[
    [Embeddings, Embeddings, FusionFeatures, Searched, Temperature, FusionSettings], Weights
]
"""(original, repaired, features, gallery, temperature, settings) -> weight."""

Fusion = Callable[
    [Embeddings, Embeddings, FusionFeatures, Searched, Temperature, FusionSettings],
    tuple[Embeddings, Weights],
]
"""As `WeightRule`, but -> (fused, of unit length; weight)."""


def normalised_entropy(queries: Embeddings, gallery: Searched, temperature: Temperature) -> Weights:
    """Entropy of each query's softmax over the gallery's N items, divided by log N: in [0, 1]."""
    number = jnp.maximum(as_part(gallery).count, 2).astype(jnp.float32)
    return softmax_over(queries, gallery, temperature).entropy / jnp.log(number)


def keep_original(
    original: Embeddings,
    repaired: Embeddings,
    features: FusionFeatures,
    gallery: Searched,
    temperature: Temperature,
    settings: FusionSettings,
) -> tuple[Embeddings, Weights]:
    """The query as it arrived, bit for bit; the compiler leaves the repair's embedding out."""
    return original, jnp.zeros(original.shape[0], jnp.float32)


def take_repair(
    original: Embeddings,
    repaired: Embeddings,
    features: FusionFeatures,
    gallery: Searched,
    temperature: Temperature,
    settings: FusionSettings,
) -> tuple[Embeddings, Weights]:
    """The repair instead of the query, bit for bit."""
    return repaired, jnp.ones(repaired.shape[0], jnp.float32)


def fixed_weight(
    original: Embeddings,
    repaired: Embeddings,
    features: FusionFeatures,
    gallery: Searched,
    temperature: Temperature,
    settings: FusionSettings,
) -> Weights:
    """`w_fixed` for every query."""
    return jnp.full(original.shape[0], settings.w_fixed, jnp.float32)


def dynamic_weight(
    original: Embeddings,
    repaired: Embeddings,
    features: FusionFeatures,
    gallery: Searched,
    temperature: Temperature,
    settings: FusionSettings,
) -> Weights:
    """How far the repair may be trusted, from four pieces of evidence.

    w_max, times: is anything damaged (unknown words); does the repair keep what was fine (known
    words, and no more edits than the unknown words explain); does retrieval become surer with it
    (at most up to a weight of 1); generation confidence.
    """
    s = settings
    damaged = jnp.clip(features.oov / s.oov_scale, 0, 1)
    excess = jnp.maximum(0, features.edit - s.edit_per_oov * features.oov)
    keeps = jnp.exp(-s.lost_rate * features.lost - s.edit_rate * excess)
    gain = normalised_entropy(original, gallery, temperature) - normalised_entropy(
        repaired, gallery, temperature
    )
    surer = jnp.minimum(2 * jax.nn.sigmoid(s.entropy_rate * gain), 1 / s.w_max)
    return s.w_max * damaged * keeps * surer * features.generation**s.generation_power


def fuse_by(
    rule: WeightRule,
    original: Embeddings,
    repaired: Embeddings,
    features: FusionFeatures,
    gallery: Searched,
    temperature: Temperature,
    settings: FusionSettings,
) -> tuple[Embeddings, Weights]:
    """Fuses each query with its repair; no row depends on another one.

    Args:
        rule: gives the weights.
        original: of the queries; gradients flow into it.
        repaired: of their repairs; gradients flow into it.
        features: four arrays [B] float32.
        gallery: what is searched.
        temperature: the model's own.
        settings: constants of the rule.

    Returns:
        fused, of unit length, and the repair's weight, a constant for gradients.
    """
    weight = jax.lax.stop_gradient(
        rule(original, repaired, features, gallery, temperature, settings)
    )[:, None]
    mixed = (1 - weight) * original + weight * repaired
    return unit(mixed), weight[:, 0]


FUSIONS: Mapping[str, Fusion] = MappingProxyType(
    {
        "dynamic": partial(fuse_by, dynamic_weight),
        "original": keep_original,
        "replace": take_repair,
        "fixed": partial(fuse_by, fixed_weight),
    }
)
