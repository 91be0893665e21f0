"""Configurations: every shipped one is valid; what is impossible is refused by name."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from reex_jax.benchmark.sweeps import PROTOCOL
from reex_jax.config import check_command_line, check_config, default_config, shrink
from reex_jax.errors import UserError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name: str) -> ConfigDict:
    return load_module(name).get_config()


@pytest.mark.parametrize(
    "name", [p.stem for p in EXPERIMENTS.glob("*.py") if not p.stem.startswith("pretrain")]
)
def test_shipped_benchmarks_are_valid_and_small_ones_too(name):
    config = load(name)
    check_config(config)
    small = shrink(config)
    check_config(small)
    assert small.data.num_images <= 50 and len(small.seeds) == 1
    assert config.data.num_images == 1000  # the original is left alone


@pytest.mark.parametrize(("name", "count"), [("coco_c", 8), ("flickr_c", 8), ("scenes_c", 4)])
def test_every_sweep_is_valid_alone_and_with_seeds(name, count):
    module = load_module(name)
    sweeps = getattr(module, "SWEEPS", PROTOCOL)
    assert len(sweeps) == count
    plain = module.get_config()
    for sweep in sweeps:
        for names in (sweep, f"{sweep},seeds"):
            config = module.get_config(names)
            check_config(config)
            assert config.to_dict() != plain.to_dict()
            assert config.seeds == ((0, 1, 2) if "seeds" in names else (0,))
            check_config(shrink(config))
    with pytest.raises(UserError, match="unknown sweep 'sevrities'; did you mean 'severities'"):
        module.get_config("seeds,sevrities")


def test_published_kinds_need_their_files():
    config = default_config()
    config.corruptions.text = ("formal",)
    with pytest.raises(UserError, match=r"has 'formal', which is read from published.*set data\."):
        check_config(config)
    config.data.update({"name": "karpathy", "root": "/data", "preset": "coco"})
    config.data.released_captions = "/captions"
    config.corruptions.severities = (7,)
    check_config(config)  # word kinds were published at 6 and 7, our own end at 5
    config.corruptions.text = ("word_swap",)
    check_config(config)
    config.data.released_captions = ""
    with pytest.raises(UserError, match="has 7, but word_swap ends at severity 5"):
        check_config(config)


def test_defaults_are_valid():
    check_config(default_config())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("method", "reax", "unknown value of method: 'reax'.*allowed: none"),
        ("precision", "float16", "precision.*allowed: auto, bfloat16, float32"),
        ("data.name", "scene", "did you mean 'scenes'"),
        ("data.num_images", 0, "data.num_images is 0; it must be a whole number in 1.."),
        ("data.seed", -1, "data.seed is -1"),
        ("data.on_error", "ignore", "allowed: raise, skip"),
        ("data.preprocessing", "openai", "allowed: clip, tcr"),
        ("directions", ("image_to_image",), "did you mean"),
        ("directions", (), "directions is empty"),
        ("corruptions.image", ("gausian_noise",), "did you mean 'gaussian_noise'"),
        ("corruptions.text", "swap", "write a list"),
        ("corruptions.severities", (0,), "whole number in 1..7"),
        ("corruptions.severities", (5, 5), "has a value twice"),
        ("seeds", (1.5,), "seeds is 1.5"),
        ("batch_size", True, "batch_size is True"),
        ("corruptions.image", ("fog,snow",), r"""write --config.*="\('fog', 'snow'\)\""""),
        ("seeds", ([0], [0]), "has a value twice"),
        ("checkpoint", "", "checkpoint is empty"),
        ("results", " ", "results is empty"),
        ("run_id", "../up", "no path signs"),
        ("data.root", "pictures", "data.root is 'pictures', but data.name is 'scenes'"),
        ("name", "../up", "no path signs"),
        ("progress", "yes", "must be True or False"),
    ],
)
def test_impossible_values_are_refused(key, value, message):
    values = default_config().to_dict()
    *parents, leaf = key.split(".")
    target = values
    for parent in parents:
        target = target[parent]
    target[leaf] = value
    with pytest.raises(UserError, match=message):
        check_config(ConfigDict(values))


def test_unknown_and_missing_keys_are_named():
    values = default_config().to_dict()
    with pytest.raises(UserError, match=r"unknown config key 'data\.preprocesing'; did you mean"):
        check_config(ConfigDict(values | {"data": values["data"] | {"preprocesing": "clip"}}))
    del values["batch_size"]
    with pytest.raises(UserError, match="config keys are missing: batch_size"):
        check_config(ConfigDict(values))


def test_settings_that_do_not_fit_each_other():
    config = default_config()
    config.corruptions.image = ("contrast",)
    config.corruptions.severities = (7,)
    with pytest.raises(UserError, match="has 7, but contrast ends at severity 5"):
        check_config(config)
    config = default_config()
    config.data.name = "folder"
    with pytest.raises(UserError, match=r"data\.root must name the folder"):
        check_config(config)
    config = default_config()
    config.corruptions.clean = False
    with pytest.raises(UserError, match="image_to_text has no stream"):
        check_config(config)


def parsed(*overrides: str) -> ConfigDict:
    """What the command line makes of the embedded benchmark, as in reex_jax.main."""
    argv = ["main", f"--config={EXPERIMENTS / 'scenes_c.py'}", *overrides]
    check_command_line(argv)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    values(argv)
    check_config(values["config"].value)
    return values["config"].value


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["--config.seeds=0,1"], "seeds", (0, 1)),
        (["--config.seeds=(0, 1)"], "seeds", (0, 1)),
        (["--config.seeds=3"], "seeds", (3,)),
        (["--config.seeds=0", "--config.seeds=1"], "seeds", (0, 1)),
        (["--config.directions=text_to_image"], "directions", ("text_to_image",)),
        (["--config.method=none"], "method", "none"),
        (["--config.revision=v1"], "revision", "v1"),
        (["--noconfig.progress"], "progress", False),
        (["--config.runlocal"], "runlocal", True),
    ],
)
def test_values_from_the_command_line(overrides, key, value):
    assert parsed(*overrides)[key] == value


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.metod=none"], "unknown config key 'metod'; did you mean 'method'?"),
        (["--config.foo", "1"], "unknown config key 'foo'; allowed: batch_size, "),
        (["--noconfig.progres"], "unknown config key 'progres'; did you mean 'progress'?"),
        (["--config.data.sed=1"], r"unknown config key 'data\.sed'; did you mean 'data\.seed'?"),
        (["--config.seeds=gpu"], "seeds is 'gpu'; it must be a whole number in 0.."),
        (["--config.corruptions.text=swap,delete"], r"""="\('swap', 'delete'\)\""""),
        (["--config=experiments/none.py"], "no configuration file 'experiments/none.py'"),
        (["--config"], "no configuration file ''"),
    ],
)
def test_a_wrong_command_line_is_explained(overrides, message):
    with pytest.raises(UserError, match=message):
        parsed(*overrides)
