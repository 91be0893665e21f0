"""Text queries that come with their repairs: both are embedded, then fused, wherever one is.

Fusion is part of the encoder, so whatever adapts sees the fused query, and gradients flow through
the embeddings of both texts.
"""

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import jax

from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.adaptation.objective import Parameters
from reex_jax.errors import UserError, unknown
from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.gsr.settings import CHECKS, FusionSettings


class FusedTexts(NamedTuple):
    """What the encoder takes: B queries and their repairs as token ids, each padded for itself.

    Attributes:
        ids: [B, length] int32, of the queries as they arrived.
        refined_ids: [B, another length] int32, of their repairs.
        features: four arrays [B] float32.
    """

    ids: jax.Array
    refined_ids: jax.Array
    features: FusionFeatures


@dataclass(frozen=True)
class FusionRule:
    """Which rule fuses, and its constants.

    Attributes:
        name: in `gsr.fusion.FUSIONS`.
        settings: its constants.
    """

    name: str
    settings: FusionSettings


def check_fusion(name: str, settings: FusionSettings | None, query: str) -> FusionRule | None:
    """The rule that an adapter is asked for; None for "", without fusion.

    Raises:
        UserError: an unknown rule, image queries, settings without a rule, or a constant that is
            not allowed.
    """
    if not name:
        if settings is not None:
            raise UserError("fusion_settings are given without fusion; name a rule, or leave both")
        return None
    if name not in FUSIONS:
        raise unknown("value of fusion:", name, FUSIONS)
    if query != "text":
        raise UserError(f"fusion {name!r} needs text queries, but query is {query!r}")
    rule = FusionRule(name, FusionSettings() if settings is None else settings)
    if not isinstance(rule.settings, FusionSettings):
        raise UserError(f"fusion_settings must be FusionSettings, not {settings!r:.60}")
    for key, value in asdict(rule.settings).items():
        CHECKS[key](f"fusion_settings.{key}", value)
    return rule


def fused_encoder(encoder: QueryEncoder, rule: FusionRule) -> QueryEncoder:
    """An encoder of `FusedTexts` around one of token ids, with the same parameters."""
    fuse = FUSIONS[rule.name]

    def embed(parameters: Parameters, constants: Constants, inputs: FusedTexts) -> jax.Array:
        original = encoder.embed(parameters, constants, inputs.ids)
        refined = encoder.embed(parameters, constants, inputs.refined_ids)
        gallery, temperature = constants.gallery, constants.temperature
        fused, _ = fuse(original, refined, inputs.features, gallery, temperature, rule.settings)
        return fused

    def shuffle(inputs: FusedTexts, keys: jax.Array) -> FusedTexts:
        return inputs._replace(
            ids=encoder.shuffle(inputs.ids, keys),
            refined_ids=encoder.shuffle(inputs.refined_ids, keys),
        )

    return replace(encoder, embed=embed, shuffle=shuffle)
