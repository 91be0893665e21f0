"""Programs beside the update step, over the devices that share a batch."""

from collections.abc import Callable, Sequence

import jax
from jaxtyping import Array, Float

from reex_jax.adaptation.encoder import Constants, Inputs, QueryEncoder
from reex_jax.adaptation.objective import Parameters
from reex_jax.adaptation.replicas import first_copy
from reex_jax.retrieval.calibration import Calibration, correction
from reex_jax.retrieval.part import AXIS
from reex_jax.settings.ranking import Ranking


def compile_embed(
    encoder: QueryEncoder, devices: Sequence[jax.Device]
) -> Callable[[Constants, Parameters, Inputs], jax.Array]:
    """Embeds a batch without learning, over devices; every argument has a leading device axis."""

    def embed(
        constants: Constants, parameters: Parameters, inputs: Inputs
    ) -> Float[Array, "batch dim"]:
        return jax.lax.all_gather(encoder.embed(parameters, constants, inputs), AXIS, tiled=True)

    return jax.pmap(embed, axis_name=AXIS, devices=devices)


def compile_correction(
    ranking: Ranking, devices: Sequence[jax.Device]
) -> Callable[[Calibration, jax.Array], jax.Array]:
    """What ranking takes from each item: [devices, places] float32, the same on every device.

    Of (calibration, the model's temperature), both with a leading device axis. Without devices it
    is computed on the first one alone, and other processes need not take part.
    """

    def own(state: Calibration, temperature: jax.Array) -> jax.Array:
        return correction(state, temperature, ranking)

    if devices:
        return jax.pmap(own, axis_name=AXIS, devices=devices)
    alone = jax.jit(own)
    return lambda state, temperature: alone(*first_copy((state, temperature)))[None]
