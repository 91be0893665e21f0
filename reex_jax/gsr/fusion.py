"""Confidence-guided fusion of a query's embedding with that of its repair.

The formulas are this project's own (docs/method.md). Each rule gives a weight w in [0, 1] for
every query by itself; the fused query is the normalised (1 - w) original + w refined, with no
gradient through w. Axes: B queries of a batch, N gallery items, d dimensions of an embedding.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reex_jax.arrays import cosines, entropy, log_softmax_at, unit
from reex_jax.gsr.features import FusionFeatures
from reex_jax.settings.repair import FusionSettings

WeightRule = Callable[
    [jax.Array, jax.Array, FusionFeatures, jax.Array, jax.Array, FusionSettings], jax.Array
]
"""(original, refined, features, gallery, temperature, settings) -> weight [B] float32."""

Fusion = Callable[
    [jax.Array, jax.Array, FusionFeatures, jax.Array, jax.Array, FusionSettings],
    tuple[jax.Array, jax.Array],
]
"""As `WeightRule`, but -> (fused [B, d] float32 unit, weight [B] float32)."""


def normalised_entropy(
    queries: Float[Array, "batch dim"],
    gallery: Float[Array, "items dim"],
    temperature: Float[Array, ""],
) -> Float[Array, " batch"]:
    """Entropy of each query's softmax over the gallery, divided by log N: in [0, 1].

    Args:
        queries: unit rows.
        gallery: unit rows.
        temperature: above 0, the model's own.
    """
    scores = cosines(jnp.asarray(queries), jnp.asarray(gallery))
    log_p = log_softmax_at(scores, jnp.float32(temperature))
    return entropy(log_p) / jnp.log(jnp.float32(max(gallery.shape[0], 2)))


def keep_original(
    original: jax.Array,
    refined: jax.Array,
    features: FusionFeatures,
    gallery: jax.Array,
    temperature: jax.Array,
    settings: FusionSettings,
) -> tuple[jax.Array, jax.Array]:
    """The query as it arrived, bit for bit; the compiler leaves the repair's embedding out."""
    return original, jnp.zeros(original.shape[0], jnp.float32)


def take_repair(
    original: jax.Array,
    refined: jax.Array,
    features: FusionFeatures,
    gallery: jax.Array,
    temperature: jax.Array,
    settings: FusionSettings,
) -> tuple[jax.Array, jax.Array]:
    """The repair instead of the query, bit for bit."""
    return refined, jnp.ones(refined.shape[0], jnp.float32)


def fixed_weight(
    original: jax.Array,
    refined: jax.Array,
    features: FusionFeatures,
    gallery: jax.Array,
    temperature: jax.Array,
    settings: FusionSettings,
) -> jax.Array:
    """`w_fixed` for every query."""
    return jnp.full(original.shape[0], settings.w_fixed, jnp.float32)


def dynamic_weight(
    original: jax.Array,
    refined: jax.Array,
    features: FusionFeatures,
    gallery: jax.Array,
    temperature: jax.Array,
    settings: FusionSettings,
) -> jax.Array:
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
        refined, gallery, temperature
    )
    surer = jnp.minimum(2 * jax.nn.sigmoid(s.entropy_rate * gain), 1 / s.w_max)
    return s.w_max * damaged * keeps * surer * features.generation**s.generation_power


def fuse_by(
    rule: WeightRule,
    original: jax.Array,
    refined: jax.Array,
    features: FusionFeatures,
    gallery: jax.Array,
    temperature: jax.Array,
    settings: FusionSettings,
) -> tuple[jax.Array, jax.Array]:
    """Fuses each query with its repair; no row depends on another one.

    Args:
        rule: gives the weights.
        original: [B, d] float32 unit embeddings of the queries; gradients flow into it.
        refined: [B, d] float32 unit embeddings of their repairs; gradients flow into it.
        features: four arrays [B] float32.
        gallery: [N, d] float32 unit.
        temperature: the model's own, scalar.
        settings: constants of the rule.

    Returns:
        fused [B, d] float32 unit and the repair's weight [B] float32, a constant for gradients.
    """
    weight = jax.lax.stop_gradient(
        rule(original, refined, features, gallery, temperature, settings)
    )[:, None]
    mixed = (1 - weight) * original + weight * refined
    return unit(mixed), weight[:, 0]


FUSIONS: Mapping[str, Fusion] = MappingProxyType(
    {
        "dynamic": partial(fuse_by, dynamic_weight),
        "original": keep_original,
        "replace": take_repair,
        "fixed": partial(fuse_by, fixed_weight),
    }
)
