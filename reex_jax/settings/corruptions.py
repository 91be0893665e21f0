"""Which corruptions the queries of a run suffer: `corruptions.*`."""

from dataclasses import dataclass

from reex_jax.corruptions.image.kinds import IMAGE_CORRUPTIONS
from reex_jax.corruptions.text.kinds import TEXT_SEVERITIES
from reex_jax.settings import checks
from reex_jax.settings.checks import flag, integers, some_of
from reex_jax.settings.fields import Settings, setting
from reex_jax.settings.presets import HIGHEST_SEVERITY


@dataclass(frozen=True)
class Corruptions(Settings):
    """Each kind at each severity is a stream of queries."""

    clean: bool = setting(True, "whether clean queries are a stream too", flag)
    image: tuple[str, ...] = setting((), "kinds for images", some_of(IMAGE_CORRUPTIONS, empty=True))
    text: tuple[str, ...] = setting((), "kinds for captions", some_of(TEXT_SEVERITIES, empty=True))
    sentences: str = setting(
        "", "file of sentence kinds' texts; 'rules': made by the rules of scenes", checks.path
    )
    severities: tuple[int, ...] = setting((5,), "how strong", integers(1, HIGHEST_SEVERITY))
