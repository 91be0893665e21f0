"""Embeds queries without learning from them, and notices those that nothing was learned for."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from reex_jax.adaptation.encoder import Constants, Inputs, QueryEncoder
from reex_jax.adaptation.objective import Parameters
from reex_jax.adaptation.replicas import AXIS, gather
from reex_jax.retrieval.calibration import Calibration, arrive
from reex_jax.settings.ranking import Ranking


def compile_embed(
    encoder: QueryEncoder, learns: bool, ranking: Ranking, devices: Sequence[jax.Device]
) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Embeds a batch without learning, over devices; every argument has a leading device axis.

    Args:
        encoder: embeds.
        learns: whether its parameters are ever others than the source's.
        ranking: says how other queries are noticed.
        devices: that share the batch.

    Returns:
        (constants, parameters, calibration, inputs of the device's queries, mask) -> embeddings
        [B, d] float32 of the whole batch, and whether its queries are of another sort than those
        that were learned from. Those are embedded by the source: what was learned may harm them.
    """

    def embed(
        constants: Constants,
        parameters: Parameters,
        calibration: Calibration,
        inputs: Inputs,
        mask: Bool[Array, " own"],
    ) -> tuple[Float[Array, "batch dim"], Bool[Array, ""]]:
        stream = encoder.front(constants, inputs)
        queries = sources = gather(encoder.back(parameters, constants, stream))
        if not ranking.shift_above:
            return queries, jnp.bool_(False)
        if learns:
            sources = gather(encoder.back(constants.source, constants, stream))
        changed = arrive(calibration, sources, gather(mask), ranking).changed
        return jnp.where(changed, sources, queries), changed

    return jax.pmap(embed, axis_name=AXIS, devices=devices)
