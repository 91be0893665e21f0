"""The check of a pretraining configuration, before any work."""

from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from reex_jax.errors import UserError
from reex_jax.settings.checks import (
    LARGE,
    Check,
    check_arguments,
    check_values,
    filled,
    integer,
    number,
    numbers,
    one_of,
    text,
)
from reex_jax.settings.choices import PRECISIONS

_EXAMPLE = "experiments/pretrain_scenes.py"
_TOWER: dict[str, Check] = {
    "hidden_size": integer(1),
    "num_hidden_layers": integer(1),
    "num_attention_heads": integer(1),
}
_CHECKS: dict[str, Check] = {
    "workdir": filled,
    "seed": integer(0),
    "batch_size": integer(1, 65536),
    "num_steps": integer(1),
    "report_every": integer(1),
    "save_every": integer(1),
    "init": text,
    "augmentation.brightness": number(0, 100),
    "augmentation.contrast": number(0, 100),
    "augmentation.noise": number(0, 100),
    "augmentation.split_percent": integer(0, 100),
    "augmentation.drop_percent": integer(0, 100),
    "text_length": integer(3),  # start, one token and end
    "precision": one_of(PRECISIONS),
    "optimizer.learning_rate": number(0, 10, above=True),
    "optimizer.warmup_steps": integer(0),
    "optimizer.weight_decay": number(0, 10),
    "vocabulary.num_merges": integer(1),
    "vocabulary.num_scenes": integer(1),
    "vocabulary.num_words": integer(1),
    "pixels.mean": numbers(3, number(0, 1)),
    "pixels.std": numbers(3, number(0, 1, above=True)),
    "model.projection_dim": integer(1),
    **{f"model.vision.{key}": check for key, check in _TOWER.items()},
    "model.vision.image_size": integer(1),
    "model.vision.patch_size": integer(1),
    **{f"model.text.{key}": check for key, check in _TOWER.items()},
    "model.text.max_position_embeddings": integer(3),
}


def check_pretraining_arguments(argv: Sequence[str]) -> None:
    """Refuses what absl would answer with a traceback; call it before the flags are parsed.

    Args:
        argv: the command line, its first item being the program.

    Raises:
        UserError: a `--config.key` that does not exist, or a configuration file that does not.
    """
    check_arguments(argv, _CHECKS, _EXAMPLE)


def check_pretraining(config: ConfigDict) -> None:
    """Refuses what cannot be trained.

    Raises:
        UserError: naming the key, its value and what is allowed: an unknown or missing key, a
            value out of range, values that do not fit each other, an `init` that is no folder.
    """
    check_values(config.to_dict(), _CHECKS, _EXAMPLE)
    _check_model(config)
    _check_length(config)
    if config.init and not Path(config.init).is_dir():
        raise UserError(
            f"init is {config.init!r}, which is no folder; run the training that exports it first, "
            "or leave init empty to start from nothing"
        )


def _check_model(config: ConfigDict) -> None:
    for name in ("vision", "text"):
        tower = config.model[name]
        if tower.hidden_size % tower.num_attention_heads:
            raise UserError(
                f"model.{name}.hidden_size is {tower.hidden_size}, which "
                f"{tower.num_attention_heads} heads (num_attention_heads) do not divide"
            )
    vision, positions = config.model.vision, config.model.text.max_position_embeddings
    if vision.patch_size > vision.image_size:
        raise UserError(
            f"model.vision.patch_size is {vision.patch_size}; it must be at most "
            f"model.vision.image_size, {vision.image_size}"
        )
    if config.text_length > positions:
        raise UserError(
            f"text_length is {config.text_length}; it must be at most "
            f"model.text.max_position_embeddings, {positions}"
        )


def _check_length(config: ConfigDict) -> None:
    warmup = config.optimizer.warmup_steps
    if warmup >= config.num_steps:
        raise UserError(
            f"optimizer.warmup_steps is {warmup}; it must be less than num_steps, "
            f"{config.num_steps}, since the learning rate falls after it"
        )
    if config.batch_size * config.num_steps > LARGE:  # scenes are numbered by 31 bits
        raise UserError(
            f"num_steps is {config.num_steps}; with batch_size {config.batch_size} there are "
            f"scenes for {LARGE // config.batch_size} steps"
        )
