"""What ranking takes from each gallery item, on every device that ranks."""

from collections.abc import Callable, Sequence

import jax

from reex_jax.retrieval.calibration import Calibration, correction
from reex_jax.retrieval.part import AXIS
from reex_jax.settings.ranking import Ranking


def compile_correction(
    ranking: Ranking, devices: Sequence[jax.Device]
) -> Callable[[Calibration, jax.Array], jax.Array]:
    """(calibration, the model's temperature) -> [devices, places] float32, over devices.

    Both have a leading device axis.
    """

    def own(state: Calibration, temperature: jax.Array) -> jax.Array:
        return correction(state, temperature, ranking)

    return jax.pmap(own, axis_name=AXIS, devices=devices)
