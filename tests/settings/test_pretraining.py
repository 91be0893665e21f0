"""Pretraining configurations: every shipped one is valid; what is impossible is refused by name."""

import importlib.util
from pathlib import Path

import pytest

from reex_jax.commands.list import PRETRAIN
from reex_jax.commands.start import read_arguments
from reex_jax.errors import UserError
from reex_jax.pretraining.run import pretrain
from reex_jax.settings.pretraining import Pretraining

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHIPPED = sorted(path.stem for path in EXPERIMENTS.glob("pretrain*.py"))


def load(name: str) -> Pretraining:
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pretrainings_are_valid(name):
    found = load(name)
    assert Pretraining.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("workdir", "", "workdir is empty"),
        ("seed", -1, "seed is -1; it must be a whole number in 0.."),
        ("batch_size", 0, "batch_size is 0"),
        ("num_steps", 1.5, "num_steps is 1.5; it must be a whole number"),
        ("num_steps", 2**30, "with batch_size 128 there are scenes for 16777215 steps"),
        ("report_every", 0, "report_every is 0"),
        ("save_every", True, "save_every is True"),
        ("init", None, "init is None; it must be a text"),
        ("augmentation.brightness", -0.1, r"brightness is -0\.1; it must be a number in 0\.\.100"),
        ("augmentation.noise", float("nan"), "augmentation.noise is nan"),
        ("augmentation.split_percent", 101, r"split_percent is 101; .* in 0\.\.100"),
        ("augmentation.drop_percent", -1, r"drop_percent is -1; .* in 0\.\.100"),
        ("text_length", 2, "text_length is 2; it must be a whole number in 3.."),
        ("text_length", 78, r"text_length is 78; .*max_position_embeddings, 77"),
        ("precision", "float16", "precision.*'float16'.*allowed: auto, bfloat16, float32"),
        ("optimizer.learning_rate", 0.0, r"learning_rate is 0\.0; .* above 0 and at most 10"),
        ("optimizer.learning_rate", float("inf"), "learning_rate is inf"),
        ("optimizer.learning_rate", "1e-3", "learning_rate is '1e-3'; it must be a number"),
        ("optimizer.warmup_steps", 4001, "warmup_steps is 4001; .* less than num_steps, 4000"),
        ("optimizer.warmup_steps", 4000, "warmup_steps is 4000; .* less than num_steps, 4000"),
        ("optimizer.weight_decay", -1, "weight_decay is -1"),
        ("vocabulary.num_merges", 0, "num_merges is 0"),
        ("pixels.mean", (0.5, 0.5), r"mean is \(0\.5, 0\.5\); it must be a list of 3 numbers"),
        ("pixels.mean", 0.5, "it must be a list of 3 numbers"),
        ("pixels.std", (0.25, 0.0, 0.25), r"pixels\.std is 0\.0; .* above 0 and at most 1"),
        ("model.projection_dim", 0, "projection_dim is 0"),
        ("model.vision.num_attention_heads", 3, r"vision\.hidden_size is 128, which 3 heads"),
        ("model.text.hidden_size", 30, r"text\.hidden_size is 30, which 4 heads"),
        ("model.vision.patch_size", 64, r"patch_size is 64; .*image_size, 48"),
    ],
)
def test_impossible_values_are_refused(key, value, message):
    values = value
    for part in reversed(key.split(".")):
        values = {part: values}
    with pytest.raises(UserError, match=message):
        Pretraining.from_dict(values)


def test_unknown_keys_are_named():
    with pytest.raises(UserError, match=r"unknown config key 'optimizer\.lr'"):
        Pretraining.from_dict({"optimizer": {"lr": 1}})


def test_nothing_is_written_before_the_check(tmp_path):
    settings = Pretraining(workdir=str(tmp_path / "work"), init="no/such")
    with pytest.raises(UserError, match="init is 'no/such', which is no folder; run the training"):
        pretrain(settings)
    assert not (tmp_path / "work").exists()


def test_a_wrong_command_line_is_explained():
    file = f"--config={EXPERIMENTS / 'pretrain_scenes.py'}"
    assert read_arguments(PRETRAIN, [file, "--config.num_steps=300"]).settings.num_steps == 300
    with pytest.raises(UserError, match="unknown config key 'num_step'; did you mean 'num_steps'"):
        read_arguments(PRETRAIN, [file, "--config.num_step=3"])
    with pytest.raises(UserError, match=r"no configuration file 'none\.py'.*pretrain_scenes\.py"):
        read_arguments(PRETRAIN, ["--config=none.py"])
