"""Tuning of every method on corruptions and scenes that no benchmark reports.

    python -m reex_jax.main --config=experiments/tune_scenes.py

Each method gets the same grid: four learning rates (three for captions) times two values of one
setting of its own: the softmax temperature of its authors or the model's, for ReEx the temperature
of its contrast. The rates and temperatures that win are those of experiments/scenes_c.py. Held-out
kinds (`gaussian_blur`, `spatter`, `saturate`; `vowel_drop`, `wrong_autocorrection`), severity 5,
scenes of seed 1, 1,000 queries a stream. 35 minutes on two cores.
"""

from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment, Variant

# The authors' temperature in units of the bundled model's, and the model's own.
ENTROPY, CONTRAST = (0.29, 1.0), (0.58, 2.0)
TEMPERATURES = {
    **dict.fromkeys(("tent", "eata", "sar", "shot", "read", "deyo"), ENTROPY),
    **dict.fromkeys(("tcr", "rest"), CONTRAST),
    "reex": (2.0, 3.0),
}
RATES = {"image_to_text": (1e-3, 3e-3, 1e-2, 3e-2), "text_to_image": (3e-4, 1e-3, 3e-3)}


def get_config(direction: str = "image_to_text") -> Experiment:
    """The grid of one direction: --config=experiments/tune_scenes.py:text_to_image for captions."""
    variants = tuple(
        Variant(
            f"{method} temperature={value:g} learning_rate={rate:g}",
            method,
            {"relative_temperature": value, "learning_rate": rate},
        )
        for method, values in TEMPERATURES.items()
        for value in values
        for rate in RATES[direction]
    )
    return Experiment(
        name="tune_scenes",
        directions=(direction,),
        method=("none", *(variant.name for variant in variants)),
        variants=variants,
        data=Data(seed=1),
        corruptions=Corruptions(
            clean=False,
            image=("gaussian_blur", "spatter", "saturate"),
            text=("vowel_drop", "wrong_autocorrection"),
        ),
        max_queries=1000,
    )
