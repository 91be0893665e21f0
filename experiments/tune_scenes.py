"""Tuning of every method on corruptions and scenes that no benchmark reports.

    python -m reex_jax.main --config=experiments/tune_scenes.py

Each method gets the same grid: four learning rates (three for captions) times two values of one
setting of its own: the softmax temperature of its authors or the model's, for ReEx the temperature
of its contrast. The rates and temperatures that win are those of experiments/scenes_c.py. Held-out
kinds (`gaussian_blur`, `spatter`, `saturate`; `vowel_drop`, `wrong_autocorrection`), severity 5,
scenes of seed 1, 1,000 queries a stream. 35 minutes on two cores.
"""

from ml_collections import ConfigDict

from reex_jax.config import default_config

MODEL = 0.0345  # the bundled model's own temperature, 1 / exp(logit_scale)
ENTROPY = {"temperature": (0.01, MODEL)}
CONTRAST = {"temperature": (0.02, 2 * MODEL)}
GRID = {
    "tent": ENTROPY,
    "eata": ENTROPY,
    "sar": ENTROPY,
    "shot": ENTROPY,
    "read": ENTROPY,
    "deyo": ENTROPY,
    "tcr": CONTRAST,
    "rest": CONTRAST,
    "reex": {"relative_temperature": (2.0, 3.0)},
}
RATES = {"image_to_text": (1e-3, 3e-3, 1e-2, 3e-2), "text_to_image": (3e-4, 1e-3, 3e-3)}


def get_config(direction: str = "image_to_text") -> ConfigDict:
    """The grid of one direction: --config=experiments/tune_scenes.py:text_to_image for captions."""
    variants = tuple(
        {
            "name": f"{method} {name}={value:g} learning_rate={rate:g}",
            "method": method,
            "changes": {name: value, "learning_rate": rate},
        }
        for method, settings in GRID.items()
        for name, values in settings.items()
        for value in values
        for rate in RATES[direction]
    )
    config = default_config()
    config.name = "tune_scenes"
    config.directions = (direction,)
    config.method = ("none", *(variant["name"] for variant in variants))
    config.variants = variants
    config.data.seed = 1
    config.corruptions.clean = False
    config.corruptions.image = ("gaussian_blur", "spatter", "saturate")
    config.corruptions.text = ("vowel_drop", "wrong_autocorrection")
    config.max_queries = 1000
    return config
