"""How text queries are repaired ahead of a run, and fused with the original: `gsr.*`."""

from dataclasses import dataclass, fields

from reex_jax.errors import UserError
from reex_jax.redaction import redacted
from reex_jax.settings.checks import (
    filled,
    filled_path,
    flag,
    integer,
    number,
    numbers,
    one_of,
    path,
    text,
)
from reex_jax.settings.choices import FUSION_NAMES, OFF, PROMPTS, REWRITERS, SCORERS
from reex_jax.settings.fields import Settings, setting


@dataclass(frozen=True)
class FusionSettings(Settings):
    """Constants of the fusion rules (docs/gsr.md); hashable, so it may be static in `jax.jit`."""

    w_fixed: float = setting(0.5, "weight of the repair in `fixed`", number(0, 1))
    w_max: float = setting(
        1.0, "weight of a flawless repair, before entropy is looked at", number(0, 1, above=True)
    )
    oov_scale: float = setting(
        0.1, "share of unknown words that is full evidence of damage", number(0, 1, above=True)
    )
    lost_rate: float = setting(5.0, "how fast lost known words lower the weight", number(0, 1e6))
    edit_rate: float = setting(20.0, "how fast unexplained edits lower it", number(0, 1e6))
    edit_per_oov: float = setting(
        0.4, "edit distance that a query of unknown words only may have", number(0, 10)
    )
    entropy_rate: float = setting(
        1.5, "how much a surer retrieval with the repair counts", number(0, 1e6)
    )
    generation_power: float = setting(
        0.5, "how much the generation confidence counts; 0: not at all", number(0, 100)
    )


@dataclass(frozen=True)
class RepairSettings(FusionSettings):
    """Which rewriter repairs, how it is asked, and which rule fuses."""

    rewriter: str = setting(OFF, "what repairs; '' switches repair off", one_of(REWRITERS))
    compare: bool = setting(False, "whether text queries are measured without repair too", flag)
    fusion: str = setting("dynamic", "rule that mixes query and repair", one_of(FUSION_NAMES))
    cache: str = setting("gsr_cache", "folder that keeps repairs", filled_path, counted=False)
    captions: str = setting("", "file of captions, one a line, counted into the dictionary", path)
    model: str = setting("", "model of the rewriters openai, transformers, rescore", path)
    revision: str = setting("", "revision of a model of the hub", text)
    prompt: str = setting(
        "repair", "what openai asks: for a repair, or to choose of a list", one_of(PROMPTS)
    )
    scorer: str = setting("completions", "what reads the n best of rescore", one_of(SCORERS))
    n_best: int = setting(
        16, "readings of a query to choose from (rescore, prompt=choose)", integer(2, 64)
    )
    model_weight: float = setting(0.7, "how much the model counts in rescore", number(0, 5))
    pair_weight: float = setting(0.2, "how much word pairs count beside it", number(0, 5))
    temperature: float = setting(0.0, "of the model's decoding", number(0, 2))
    samples: int = setting(1, "replies asked for a query", integer(1, 32))
    max_tokens: int = setting(128, "of a reply; long queries get more", integer(1, 4096))
    batch_size: int = setting(
        16,
        "queries, or with rescore readings, at once (transformers)",
        integer(1, 4096),
        counted=False,
    )
    base_url: str = setting("http://localhost:8000/v1", "of the server", filled, counted=False)
    concurrency: int = setting(8, "requests at once", integer(1, 512), counted=False)
    timeout_s: float = setting(
        60.0, "seconds for one reply", number(0, 3600, above=True), counted=False
    )
    attempts: int = setting(6, "for each request", integer(1, 20), counted=False)
    price_per_million: tuple[float, ...] = setting(
        (0.0, 0.0),
        "of prompt and reply tokens, for the sum printed",
        numbers(2, number(0, 1e6)),
        counted=False,
    )

    def check_together(self) -> None:
        """Refuses a rewriter without its model, and samples that would all be equal."""
        if self.rewriter == OFF:
            if self.compare:
                raise UserError(
                    "gsr.compare is True, but gsr.rewriter is off; name a rewriter, for example "
                    "--config.gsr.rewriter=channel"
                )
            return
        if self.rewriter in ("openai", "transformers", "rescore") and not self.model:
            raise UserError(f"gsr.rewriter is {self.rewriter!r}, so gsr.model must name the model")
        if self.samples > 1 and self.temperature == 0:
            raise UserError(
                f"gsr.samples is {self.samples} and gsr.temperature 0, so all samples would be "
                "equal; set gsr.temperature to 0.7 or so, or gsr.samples to 1"
            )
        if not self.base_url.startswith(("http://", "https://")):
            raise UserError(
                f"gsr.base_url is {redacted(self.base_url)!r}; it must begin with http:// or "
                "https://, for example http://localhost:8000/v1"
            )

    @property
    def fusion_settings(self) -> FusionSettings:
        """The constants of the fusion rule alone."""
        return FusionSettings(**{f.name: getattr(self, f.name) for f in fields(FusionSettings)})
