"""The fusion rules side by side: recall of the unadapted model on queries and their repairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from reex_jax.gsr.features import FusionFeatures
from reex_jax.gsr.fusion import FUSIONS
from reex_jax.retrieval.ranks import ranks_of
from reex_jax.settings.repair import FusionSettings

_BATCH = 512


@dataclass
class TextEmbeddings:
    """Embeds each text once, however often it comes up.

    Attributes:
        encode: texts -> [n, d] float32 unit embeddings.
    """

    encode: Callable[[Sequence[str]], np.ndarray]
    _known: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """[n, d] float32."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def compare_fusions(
    original: np.ndarray,
    repaired: np.ndarray,
    features: FusionFeatures,
    gallery: np.ndarray,
    answers: np.ndarray,
    temperature: float,
    settings: FusionSettings,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Ranks of the right answers under each rule of `FUSIONS`.

    Args:
        original: [n, d] float32 unit embeddings of the queries.
        repaired: [n, d] of their repairs.
        features: four arrays [n].
        gallery: [N, d] float32 unit.
        answers: [n, R] int32 gallery positions.
        temperature: the model's own.
        settings: constants of the rules.

    Returns:
        rule -> (ranks [n, R] int32, zero-based; weights of the repair [n] float32).
    """
    found = {}
    for name, fusion in FUSIONS.items():
        fuse = jax.jit(fusion, static_argnums=5)
        ranks, weights = [], []
        for start in range(0, len(original), _BATCH):
            rows = slice(start, start + _BATCH)
            part = FusionFeatures(*(feature[rows] for feature in features))
            fused, weight = fuse(
                original[rows], repaired[rows], part, gallery, jnp.float32(temperature), settings
            )
            ranks.append(np.asarray(ranks_of(fused, gallery, answers[rows])))
            weights.append(np.asarray(weight))
        found[name] = np.concatenate(ranks), np.concatenate(weights)
    return found
