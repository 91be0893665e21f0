"""Experiments: every shipped one is valid; what is impossible is refused by name."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy import api as mypy

from reex_jax.benchmark.methods import check_methods
from reex_jax.corruptions.image.kinds import IMAGE_BENCHMARK, IMAGE_CORRUPTIONS
from reex_jax.errors import UserError
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment, Variant
from reex_jax.settings.methods import METHODS, Methods, PerQuery, Reex, Tent
from reex_jax.settings.sweeps import PROTOCOL

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHIPPED = [p.stem for p in EXPERIMENTS.glob("*.py") if not p.stem.startswith("pretrain")]
KARPATHY = {"name": "karpathy", "root": "/data", "preset": "coco"}


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_benchmarks_are_valid_and_small_ones_too(name):
    experiment = load_module(name).get_config()
    check_methods(experiment)
    check_methods(replace(experiment, method=tuple(METHODS)))
    small = experiment.shrunk()
    assert small.data.num_images <= 50 and len(small.seeds) == 1
    assert experiment.data.num_images == 1000  # the original is left alone


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.py")), ids=lambda path: path.stem)
def test_shipped_experiments_say_only_what_differs(path):
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_run_writes_down_makes_the_same_experiment(name):
    experiment = load_module(name).get_config()
    assert Experiment.from_dict(experiment.to_dict()) == experiment


@pytest.mark.parametrize(("name", "count"), [("coco_c", 9), ("flickr_c", 8), ("scenes_c", 7)])
def test_every_sweep_is_valid_alone_and_with_seeds(name, count):
    module = load_module(name)
    sweeps = getattr(module, "SWEEPS", PROTOCOL)
    assert len(sweeps) == count
    plain = module.get_config()
    for sweep in sweeps:
        for names in (sweep, f"{sweep},seeds"):
            experiment = module.get_config(names)
            assert experiment != plain
            assert experiment.seeds == ((0, 1, 2) if "seeds" in names else (0,))
            experiment.shrunk()
    with pytest.raises(UserError, match="unknown sweep 'sevrities'; did you mean 'severities'"):
        module.get_config("seeds,sevrities")


def test_sentence_kinds_need_their_texts_from_one_place():
    kinds = {"text": ("formal", "casual"), "severities": (1,)}
    message = r"has formal, casual, but neither corruptions\.sentences nor data\.released_captions"
    with pytest.raises(UserError, match=message + ".*--kinds=formal,casual "):
        Experiment(corruptions=Corruptions(**kinds))
    kinds["sentences"] = "sentences.jsonl"
    Experiment(corruptions=Corruptions(**kinds))
    # They have one severity, whatever the others run at.
    beside = Experiment(corruptions=Corruptions(**kinds | {"severities": (2, 5)}))
    assert beside.severities("formal") == (1,) and beside.severities("ocr") == (2, 5)
    data = Data(**KARPATHY, released_captions="/captions")
    with pytest.raises(
        UserError, match=r"\('sentences\.jsonl'\) and data\.released_captions \('/cap"
    ):
        Experiment(corruptions=Corruptions(**kinds), data=data)
    # The file is not read then.
    Experiment(corruptions=Corruptions(**kinds | {"text": ("ocr",)}), data=data)


def test_published_kinds_have_other_severities():
    published = Data(**KARPATHY, released_captions="/captions")
    Experiment(corruptions=Corruptions(text=("formal",), severities=(7,)), data=published)
    # Word kinds were published at 6 and 7, our own end at 5.
    words = Corruptions(text=("word_swap",), severities=(7,))
    Experiment(corruptions=words, data=published)
    with pytest.raises(UserError, match="has 7, but word_swap ends at severity 5"):
        Experiment(corruptions=words, data=Data(**KARPATHY))


@pytest.mark.parametrize("name", ["coco_c", "flickr_c", "scenes_c"])
def test_shipped_benchmarks_have_the_protocol_of_the_defaults(name):
    experiment, plain = load_module(name).get_config(), Experiment()
    for key in ("adapt", "max_queries", "variants", "batch_size", "method"):
        assert getattr(experiment, key) == getattr(plain, key)


def test_scenes_run_the_image_benchmark_and_tuning_may_use_all_kinds():
    experiment = load_module("scenes_c").get_config()
    assert experiment.corruptions.image == IMAGE_BENCHMARK
    replace(experiment, corruptions=Corruptions(image=tuple(IMAGE_CORRUPTIONS)))


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
        (
            "settings.tent.image",
            {"lr": 1},
            r"key .settings\.tent\.image\.lr.*tent\.image\.learning_r",
        ),
        ("settings.tent", 3, "settings.tent is 3; it must hold keys and values"),
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
    values = value
    for part in reversed(key.split(".")):
        values = {part: values}
    with pytest.raises(UserError, match=message):
        Experiment.from_dict(values)


def test_unknown_keys_are_named_and_missing_ones_have_their_defaults():
    with pytest.raises(UserError, match=r"unknown config key 'data\.preprocesing'; did you mean"):
        Experiment.from_dict({"data": {"preprocesing": "clip"}})
    assert Experiment.from_dict({"data": {"seed": 3}}) == Experiment(data=Data(seed=3))


def test_settings_that_do_not_fit_each_other():
    with pytest.raises(UserError, match="has 7, but contrast ends at severity 5"):
        Experiment(corruptions=Corruptions(image=("contrast",), severities=(7,)))
    with pytest.raises(UserError, match=r"data\.root must name the folder"):
        Data(name="folder").check_complete()
    with pytest.raises(UserError, match="image_to_text has no stream"):
        Experiment(corruptions=Corruptions(clean=False))
    with pytest.raises(UserError, match="directions has no text_to_image"):
        Experiment.from_dict({"gsr": {"rewriter": "symspell"}, "directions": ("image_to_text",)})


def test_settings_of_methods_that_do_not_run_are_checked():
    with pytest.raises(
        UserError, match=r"settings\.reex\.image\.k is -5; it must be a whole number"
    ):
        Experiment.from_dict({"settings": {"reex": {"image": {"k": -5}}}, "method": ("none",)})
    with pytest.raises(UserError, match=r"settings\.reex\.text is Tent.*it must be Reex"):
        Methods(reex=PerQuery(Reex(), Tent()))
    variant = Variant("odd", "reex", {"k": -5})
    with pytest.raises(UserError, match=r"method odd, image_to_text: k is -5"):
        check_methods(Experiment(variants=(variant,)))


@pytest.mark.parametrize(
    "values",
    [
        *(3, None, "text", [1], {3: 4}, {"data": np.zeros(3)}, {"data": {"seed": np.zeros(2)}}),
        *({"method": np.array(["none"])}, {"variants": {"name": "a"}}, {"seeds": {1, 2}}),
        *({"settings": [1]}, {"settings": {3: {}}}, {"settings": {"reex": 3}}),
        *({"directions": [["image_to_text"]]}, {"adapt": {"score": []}}, {"adapt": {"score": {}}}),
        *({"settings": {"tnet": {"image": {}}}}, {"settings": {"own": 3}}),
        {"variants": [{"name": "a", "method": "reex", "changes": {}, "colour": 1}]},
    ],
)
def test_whatever_stands_there_is_refused_in_words(values):
    with pytest.raises(UserError):
        Experiment.from_dict(values)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3)
)
ANYTHING = st.recursive(
    SCALARS | st.just(np.zeros(2)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)
KEYS = [entry.key for entry in Experiment().entries()] + ["data", "settings.reex", "settings"]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(KEYS), ANYTHING)
def test_values_of_any_type_are_taken_or_refused_in_words(key, value):
    values = value
    for part in reversed(key.split(".")):
        values = {part: values}
    try:
        Experiment.from_dict(values)
    except UserError as error:
        assert str(error)


SNIPPET = """
from reex_jax.settings.experiment import Experiment

experiment = Experiment()
steps: int = experiment.adapt.steps
experiment.adapt.stpes
experiment.settings.reex.image.kk
Experiment(sedes=(1,))
"""


def test_the_type_checker_finds_misspelt_settings(tmp_path):
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET, "utf-8")
    found, _, status = mypy.run([str(file), "--no-incremental", "--follow-imports=silent"])
    assert status == 1
    assert '"Adapt" has no attribute "stpes"; maybe "steps"?' in found
    assert '"Reex" has no attribute "kk"' in found
    assert 'Unexpected keyword argument "sedes" for "Experiment"' in found
    assert "Found 3 errors" in found


def test_settings_are_read_without_jax():
    code = "import sys, reex_jax.settings.experiment\nprint('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
