"""Every setting of the refinement, `gsr.` in a configuration, and what of it is refused."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ml_collections import ConfigDict

from reex_jax.errors import UserError
from reex_jax.settings.checks import Check, filled, integer, number, numbers, one_of, text

OFF = ""
REWRITERS = (OFF, "symspell", "openai", "transformers", "none")
FUSION_NAMES = ("dynamic", "original", "replace", "fixed")
KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that holds the key of the endpoint; nothing else may."""


@dataclass(frozen=True)
class FusionSettings:
    """The constants of the rules; hashable, so it may be static in `jax.jit`.

    Attributes:
        w_fixed: weight of the repair in `fixed`.
        w_max: weight of a flawless repair in `dynamic`, before entropy is looked at.
        oov_scale: share of unknown words from which the evidence of damage is full.
        lost_rate: how fast the weight falls with the share of known words that are lost.
        edit_rate: how fast it falls with edits that unknown words do not explain.
        edit_per_oov: edit distance that a query of unknown words only may have.
        entropy_rate: how much a surer retrieval with the repair counts.
        generation_power: how much the generation confidence counts; 0 for not at all.
    """

    w_fixed: float = 0.5
    w_max: float = 0.9
    oov_scale: float = 0.1
    lost_rate: float = 20.0
    edit_rate: float = 20.0
    edit_per_oov: float = 0.4
    entropy_rate: float = 3.0
    generation_power: float = 0.5


def default_gsr() -> dict[str, Any]:
    """All keys with their defaults: no refinement."""
    return {
        "rewriter": OFF,
        "fusion": "dynamic",
        "cache": "gsr_cache",
        # One caption a line: words of one's own domain, counted into the dictionary.
        "captions": "",
        # Only for the rewriters openai and transformers.
        "model": "",
        "revision": "",
        "temperature": 0.0,
        "samples": 1,
        "max_tokens": 128,
        "batch_size": 16,
        # Only for openai.
        "base_url": "http://localhost:8000/v1",
        "concurrency": 8,
        "timeout_s": 60.0,
        "attempts": 6,
        "price_per_million": (0.0, 0.0),
        **asdict(FusionSettings()),
    }


CHECKS: dict[str, Check] = {
    "rewriter": one_of(REWRITERS),
    "fusion": one_of(FUSION_NAMES),
    "cache": filled,
    "captions": text,
    "model": text,
    "revision": text,
    "temperature": number(0, 2),
    "samples": integer(1, 32),
    "max_tokens": integer(1, 4096),
    "batch_size": integer(1, 4096),
    "base_url": filled,
    "concurrency": integer(1, 512),
    "timeout_s": number(0, 3600, above=True),
    "attempts": integer(1, 20),
    "price_per_million": numbers(2, number(0, 1e6)),
    "w_fixed": number(0, 1),
    "w_max": number(0, 1, above=True),
    "oov_scale": number(0, 1, above=True),
    "lost_rate": number(0, 1e6),
    "edit_rate": number(0, 1e6),
    "edit_per_oov": number(0, 10),
    "entropy_rate": number(0, 1e6),
    "generation_power": number(0, 100),
}
"""Key below `gsr.` -> its check."""


def check_gsr(config: ConfigDict) -> None:
    """Refuses settings of `config.gsr` that do not fit each other or the rest.

    Raises:
        UserError: naming the key, its value and what to do.
    """
    gsr = config.gsr
    if gsr.rewriter == OFF:
        return
    if "text_to_image" not in config.directions:
        raise UserError(
            f"gsr.rewriter is {gsr.rewriter!r}, but directions has no text_to_image, the one "
            "direction with text queries; add it, or set gsr.rewriter to ''"
        )
    if gsr.rewriter in ("openai", "transformers") and not gsr.model:
        raise UserError(f"gsr.rewriter is {gsr.rewriter!r}, so gsr.model must name the model")
    if gsr.samples > 1 and gsr.temperature == 0:
        raise UserError(
            f"gsr.samples is {gsr.samples} and gsr.temperature 0, so all samples would be equal; "
            "set gsr.temperature to 0.7 or so, or gsr.samples to 1"
        )
    if not gsr.base_url.startswith(("http://", "https://")):
        raise UserError(
            f"gsr.base_url is {gsr.base_url!r}; it must begin with http:// or https://, for "
            "example http://localhost:8000/v1"
        )


def fusion_settings(gsr: ConfigDict) -> FusionSettings:
    """The constants of the fusion rule out of `config.gsr`, already checked."""
    return FusionSettings(**{field.name: gsr[field.name] for field in fields(FusionSettings)})
