"""Configurations: every shipped one is valid; what is impossible is refused by name."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from reex_jax.adaptation.defaults import METHODS
from reex_jax.benchmark.methods import check_methods, method_settings
from reex_jax.benchmark.sweeps import PROTOCOL
from reex_jax.config import check_command_line, check_config, default_config, shrink
from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK, IMAGE_CORRUPTIONS
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
    check_methods(config)
    assert config.settings.to_dict().keys() == METHODS.keys()
    config.method = tuple(METHODS)  # each method, with the settings that the file gives it
    check_methods(config)
    small = shrink(config)
    check_config(small)
    assert small.data.num_images <= 50 and len(small.seeds) == 1
    assert config.data.num_images == 1000  # the original is left alone


@pytest.mark.parametrize(("name", "count"), [("coco_c", 8), ("flickr_c", 8), ("scenes_c", 7)])
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


def test_sentence_kinds_need_their_texts_from_one_place():
    config = default_config()
    config.corruptions.text = ("formal", "casual")
    config.corruptions.severities = (1,)
    message = r"has formal, casual, but neither corruptions\.sentences nor data\.released_captions"
    with pytest.raises(UserError, match=message + ".*--kinds=formal,casual "):
        check_config(config)
    config.corruptions.sentences = "sentences.jsonl"
    check_config(config)
    config.corruptions.severities = (1, 2)
    with pytest.raises(UserError, match="has 2, but formal ends at severity 1"):
        check_config(config)
    config.data.update({"name": "karpathy", "root": "/data", "preset": "coco"})
    config.data.released_captions = "/captions"
    with pytest.raises(
        UserError, match=r"\('sentences\.jsonl'\) and data\.released_captions \('/cap"
    ):
        check_config(config)
    config.corruptions.text = ("ocr",)  # the file is not read then
    check_config(config)


def test_published_kinds_have_other_severities():
    config = default_config()
    config.corruptions.text = ("formal",)
    config.data.update({"name": "karpathy", "root": "/data", "preset": "coco"})
    config.data.released_captions = "/captions"
    config.corruptions.severities = (7,)
    check_config(config)  # word kinds were published at 6 and 7, our own end at 5
    config.corruptions.text = ("word_swap",)
    check_config(config)
    config.data.released_captions = ""
    with pytest.raises(UserError, match="has 7, but word_swap ends at severity 5"):
        check_config(config)


@pytest.mark.parametrize("name", ["coco_c", "flickr_c", "scenes_c"])
def test_shipped_benchmarks_have_the_protocol_of_the_defaults(name):
    config, plain = load(name).to_dict(), default_config().to_dict()
    for key in ("adapt", "max_queries", "variants", "batch_size", "method"):
        assert config[key] == plain[key]


def test_defaults_are_valid():
    check_config(default_config())


def test_scenes_run_the_image_benchmark_and_tuning_may_use_all_kinds():
    config = load("scenes_c")
    assert tuple(config.corruptions.image) == IMAGE_BENCHMARK
    config.corruptions.image = tuple(IMAGE_CORRUPTIONS)
    check_config(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("method", "reax", "method is 'reax'; write a list, for example --config.method="),
        ("method", (), "method is empty; give at least one value"),
        (
            "method",
            ("none", "reax"),
            "unknown value of method: 'reax'; did you mean 'reex'.*none, ",
        ),
        ("method", ("tent", "tent"), "method has a value twice"),
        ("method", ("none,tent",), r"""write --config.method="\('none', 'tent'\)\""""),
        ("max_queries", -1, "max_queries is -1; it must be a whole number in 0.."),
        ("adapt.steps", -1, "adapt.steps is -1; it must be a whole number in 0..1000"),
        ("adapt.weight_decay", 2, "adapt.weight_decay is 2; it must be a number in 0..1"),
        ("adapt.image_parameters", "norms", "unknown value of adapt.image_parameters: 'norms'"),
        ("adapt.text_parameters", "layer_norm", "did you mean 'layer_norms'"),
        ("adapt.score", "last", "unknown value of adapt.score: 'last'.*last_forward"),
        (
            "adapt.stream",
            "continuous",
            "did you mean 'continual'. allowed: continual, mixed, reset",
        ),
        ("adapt.devices", 1.5, "adapt.devices is 1.5"),
        ("settings.tent.image", {"lr": 1}, "key of settings.tent.image: 'lr'; allowed: learning_r"),
        ("settings.tent", {}, "settings.tent has ; it must have image and text"),
        ("variants", ({"name": "a"},), "each needs name, method and changes"),
        ("corruptions.sentences", 5, "corruptions.sentences is 5; it must be a text"),
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
        ("seeds", ([0], [0]), "seeds is"),
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
    for key in ("batch_size", "variants", "settings"):
        with pytest.raises(UserError, match=f"config keys are missing: {key}"):
            check_config(ConfigDict({k: v for k, v in values.items() if k != key}))


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
        (["--config.method=none"], "method", ("none",)),
        (["--config.method=('none', 'reex')"], "method", ("none", "reex")),
        (["--config.method=none", "--config.method=reex"], "method", ("none", "reex")),
        (["--config.max_queries=100"], "max_queries", 100),
        (["--config.adapt.stream=mixed"], "adapt.stream", "mixed"),
        (["--config.settings.reex.image.k=5"], "settings.reex.image.k", 5),
        (
            ["--config.settings.tcr.text.learning_rate=1e-3"],
            "settings.tcr.text.learning_rate",
            1e-3,
        ),
        (["--config.revision=v1"], "revision", "v1"),
        (["--noconfig.progress"], "progress", False),
        (["--config.runlocal"], "runlocal", True),
    ],
)
def test_values_from_the_command_line(overrides, key, value):
    found = parsed(*overrides)
    for part in key.split("."):
        found = found[part]
    assert found == value and type(found) is type(value)


def test_a_setting_on_the_command_line_reaches_its_method_alone():
    config = parsed("--config.settings.reex.image.k=5", "--config.method=reex")
    assert method_settings(config, "reex", "image_to_text")["k"] == 5
    assert method_settings(config, "reex", "text_to_image")["k"] == 20


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.metod=none"], "unknown config key 'metod'; did you mean 'method'?"),
        (["--config.foo", "1"], r"unknown config key 'foo'; allowed: adapt\.\*, batch_size, ch"),
        (["--noconfig.progres"], "unknown config key 'progres'; did you mean 'progress'?"),
        (
            ["--config.settings.reex.image.kk=1"],
            r"key 'settings\.reex\.image\.kk'; did you mean 's",
        ),
        (["--config.adapt.rate=1"], r"allowed: adapt\.devices, .*, adapt\.weight_decay$"),
        (["--config.settings.rex.image.k=1"], r"did you mean 'settings\.reex\.image\.k'"),
        (["--config.method=none,tent"], r"""write --config.method="\('none', 'tent'\)\""""),
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
