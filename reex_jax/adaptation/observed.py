"""Adapters as others see them: what was learned, what it finds, and how far it has gone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from reex_jax.adaptation.growing import GrowingAdapter
from reex_jax.adaptation.replicas import first_copy, first_shards, replicate
from reex_jax.adaptation.state import AdaptState
from reex_jax.retrieval.calibration import Calibration
from reex_jax.retrieval.calibration import correction as calibrated_correction
from reex_jax.retrieval.part import AXIS
from reex_jax.settings.ranking import Ranking


class ObservedAdapter(GrowingAdapter):
    """The part of an `Adapter` that shows what was learned."""

    @property
    def state(self) -> AdaptState:
        """Everything that has been learned, one pytree of arrays on the first device."""
        return first_copy(self._state)

    @state.setter
    def state(self, state: AdaptState) -> None:
        """Goes on from what this adapter's `state` was earlier."""
        self._state = replicate(state, self._devices)

    def correction(self) -> jax.Array | None:
        """What ranking takes from each item's cosines: [N] float32; None without calibration."""
        corrections = self._correction_of(None)
        return None if corrections is None else first_copy(corrections)[: self._gallery.size]

    def _correction_of(self, changed: jax.Array | None) -> jax.Array | None:
        """What ranking takes from each place, on every device: [devices, places] float32.

        Waits for nothing. None without calibration.

        Args:
            changed: see `compile_correction`.
        """
        if self._ranking.calibration == "off":
            return None
        return self._correct(self._state.calibration, self._replicated.temperature, changed)

    def first_items(
        self, embeddings: ArrayLike, k: int, diagnostics: Mapping[str, float]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What each ranking finds: positions [P, k] int32, and how sure of the first [P] float32.

        Rankings as in `ranks`; confidence is the softmax's share at the model's own temperature.

        Args:
            embeddings: [P, d] float32.
            k: how many; all where the gallery has fewer.
            diagnostics: of the batch.
        """
        host, most = np.asarray(embeddings, np.float32), self._settings.batch_size
        missing = ((0, max(0, most - len(host))), (0, 0))
        rows = jnp.asarray(np.pad(host, missing))  # one shape compiles
        corrections: dict[str, jax.Array | None] = {"plain": None}
        if self._ranking.calibration != "off":
            known = not diagnostics.get("changed")
            corrections["calibrated"] = self._correction_of(None) if known else None
        temperature, k = self._constants.temperature, min(k, self._gallery.size)
        found = {}
        for ranking, correction in corrections.items():
            positions, sure = self._gallery.sure(rows, k, temperature, correction)
            found[ranking] = positions[: len(host)], sure[: len(host)]
        return found

    def distance(self) -> float:
        """How far the parameters are from the source's, as a share of these: norms of all."""
        return float(_distance(self.state.parameters, self._constants.source))


def compile_correction(
    ranking: Ranking, devices: Sequence[jax.Device]
) -> Callable[[Calibration, jax.Array, jax.Array | None], jax.Array]:
    """What ranking takes from each item: [devices, places] float32, the same on every device.

    Of (calibration, the model's temperature, whether the queries are of another sort than those
    that were learned from), all with a leading device axis. Other queries get 0; None for the last
    is for queries that were learned from. Without devices it is computed on the first one alone,
    and other processes need not take part.
    """

    def own(state: Calibration, temperature: jax.Array, changed: jax.Array | None) -> jax.Array:
        corrections = calibrated_correction(state, temperature, ranking)
        return corrections if changed is None else jnp.where(changed, 0.0, corrections)

    if devices:
        return jax.pmap(own, axis_name=AXIS, devices=devices)

    @jax.jit
    def alone(*first: Any) -> jax.Array:
        return own(*jax.tree.map(lambda x: x[0], first))[None]

    return lambda *given: alone(*first_shards(given))


@jax.jit
def _distance(parameters: Any, source: Any) -> jax.Array:
    def norm(tree: Any) -> jax.Array:
        return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))

    return norm(jax.tree.map(jnp.subtract, parameters, source)) / norm(source)
