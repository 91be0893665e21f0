"""Text queries that come with their repairs: both are embedded, then fused, wherever one is.

Fusion is part of the encoder, so whatever adapts sees the fused query, and gradients flow through
the embeddings of both texts.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Int, Key

from reex_jax.adaptation.encoder import Constants, QueryEncoder, Stream
from reex_jax.adaptation.objective import Parameters
from reex_jax.adaptation.replicas import gather, own_part
from reex_jax.errors import UserError, unknown
from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.retrieval.part import Part
from reex_jax.settings.repair import FusionSettings


class FusedTexts(NamedTuple):
    """What the encoder takes: B queries and their repairs as token ids, each padded for itself.

    Attributes:
        ids: of the queries as they arrived.
        repair_ids: of their repairs.
        features: four arrays [B] float32.
    """

    ids: Int[Array, "batch length"]
    repair_ids: Int[Array, "batch another_length"]
    features: FusionFeatures


class FusedStreams(NamedTuple):
    """Queries and their repairs behind the front of the encoder.

    Attributes:
        original: the stream of the queries.
        repaired: that of their repairs.
        features: four arrays [B] float32.
    """

    original: Stream
    repaired: Stream
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
        UserError: an unknown rule, image queries, or settings without a rule.
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
    return rule


def fused_encoder(encoder: QueryEncoder, rule: FusionRule, axis: str | None = None) -> QueryEncoder:
    """An encoder of `FusedTexts` around one of token ids, with the same parameters.

    `axis` is that over whose devices the gallery is split, if it is.
    """
    fuse = FUSIONS[rule.name]

    def front(constants: Constants, inputs: FusedTexts) -> FusedStreams:
        original = encoder.front(constants, inputs.ids)
        repaired = encoder.front(constants, inputs.repair_ids)
        return FusedStreams(original, repaired, inputs.features)

    def back(
        parameters: Parameters, constants: Constants, streams: FusedStreams
    ) -> Float[Array, "batch dim"]:
        original = encoder.back(parameters, constants, streams.original)
        repaired = encoder.back(parameters, constants, streams.repaired)
        gallery = Part(constants.gallery, constants.items, axis)
        rows = original, repaired, streams.features
        if axis is not None:  # a softmax over all parts of the gallery is of the same queries
            rows = jax.tree.map(gather, rows)
        fused, _ = fuse(*rows, gallery, constants.temperature, rule.settings)
        return fused if axis is None else own_part(fused, original.shape[0])

    def shuffle(inputs: FusedTexts, keys: Key[Array, " batch"]) -> FusedTexts:
        return inputs._replace(
            ids=encoder.shuffle(inputs.ids, keys),
            repair_ids=encoder.shuffle(inputs.repair_ids, keys),
        )

    return replace(encoder, front=front, back=back, shuffle=shuffle)
