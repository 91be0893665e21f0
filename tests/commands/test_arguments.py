"""Command lines: what becomes of them, and what is said about wrong ones."""

import re
from pathlib import Path

import pytest

from reex_jax.benchmark.methods import method_settings
from reex_jax.commands.arguments import Option, parse_arguments
from reex_jax.commands.list import COMMANDS, PRETRAIN, RUN
from reex_jax.commands.start import find, read_arguments, start
from reex_jax.errors import UserError
from reex_jax.settings.experiment import Experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILE = f"--config={EXPERIMENTS / 'scenes_c.py'}"


def parsed(*overrides: str, command=RUN, file: str = FILE) -> Experiment:
    return read_arguments(command, [file, *overrides]).settings


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
        found = getattr(found, part)
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


BROKEN = {
    "def get_config(:\n": r"broken\.py: line 1: invalid syntax",
    "x = 1\n": r"broken\.py: has no function get_config",
    "def get_config():\n    return 1 / 0\n": r"broken\.py: line 2: ZeroDivisionError",
    "def get_config():\n    return 3\n": r"get_config returned 3; it must return Experiment",
    "import no_such_module\n": r"line 1: ModuleNotFoundError",
    "def get_config():\n    return {3: 4}\n": "unknown config key '3'",
    "def get_config():\n    return {'seeds': [-1]}\n": "seeds is -1",
    "import sys\ndef get_config():\n    sys.exit(3)\n": r"broken\.py: line 3: SystemExit",
    "from reex_jax.settings.pretraining import Pretraining as P\n"
    "def get_config():\n    return P()\n": "it must return Experiment",
}


@pytest.mark.parametrize(("text", "message"), BROKEN.items())
def test_a_broken_experiment_is_explained(text, message, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError, match=message):
        parsed(file=f"--config={file}")
    if "{" in text:
        with pytest.raises(UserError, match="has no sweeps"):
            parsed(file=f"--config={file}:seeds")


def test_a_mapping_of_what_differs_is_an_experiment_too(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n    return ConfigDict({'name': 'mine', 'adapt': {'steps': 1}})\n"
    )
    found = parsed("--config.adapt.steps=2", file=f"--config={file}")
    assert (found.name, found.adapt.steps, found.seeds) == ("mine", 2, (0,))


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text("def get_config():\n    return {'seeds': (7,)}\n")
    options = (Option("out", "a file", path=True), Option("name", "a word"))
    given = ["--config=~/mine.py", "--out=~/x.jsonl", "--name=~/x"]
    found = parse_arguments(given, Experiment, "config", "experiments/scenes_c.py", options)
    assert found.options == {"out": str(tmp_path / "x.jsonl"), "name": "~/x"}
    assert found.settings.seeds == (7,)


def test_every_command_can_be_imported_beside_the_others_and_has_help(capsys):
    for command in COMMANDS:
        assert callable(find(command.work))
        with pytest.raises(SystemExit) as end:
            start(command, ["--help"])
        assert end.value.code == 0
        page = capsys.readouterr().out
        # What stands in front of the colon: the name, and for some what it takes.
        assert re.search(rf"python -m reex_jax {re.escape(command.name)}( [^:\n]+)?: ", page)
        for option in command.options:
            assert f"--{option.name}=VALUE" in page
        assert command is not PRETRAIN or "--config.model.vision.patch_size" in page


def test_help_names_type_default_values_meaning_and_sweeps(capsys):
    with pytest.raises(SystemExit):
        start(RUN, [FILE, "--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert (
        "--config.adapt.steps updates for each batch; 0 never updates; int, default 3; "
        "allowed: a whole number in 0..1000"
    ) in page
    assert "--config.settings.reex.(image|text).k size of the plausible set" in page
    assert "demo The unadapted model and ReEx on four corruptions a modality" in page
    assert "seeds Three orders of the queries" in page


def test_mistakes_are_one_line_and_exit_status_1(capsys):
    for command, arguments in (
        (RUN, []),
        (RUN, [FILE, "--confg.seeds=1"]),
        (RUN, [FILE, "more"]),
        (PRETRAIN, ["--config=none.py"]),
    ):
        with pytest.raises(SystemExit) as end:
            start(command, arguments)
        assert str(end.value.code).startswith("error: ") and "\n" not in str(end.value.code)


@pytest.mark.parametrize("name", ["scenes_c", "scenes_c.py", "experiments/scenes_c.py"])
def test_shipped_experiments_are_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parsed(file=f"--config={name}:seeds").seeds == (0, 1, 2)
    # A file of one's own comes first.
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    if name.endswith(".py"):
        own.write_text("def get_config():\n    return {'name': 'own'}\n")
        assert parsed(file=f"--config={name}").name == "own"
    for wrong in ("no_such", "", "other/scenes_c.py"):
        with pytest.raises(UserError, match=r"no configuration file .*shipped: .*, scenes_c"):
            parsed(file=f"--config={wrong}")
