"""How commands end: each way with its status and one line."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from reex_jax.commands import start as starting
from reex_jax.commands.list import RUN
from reex_jax.commands.run import idle_settings
from reex_jax.commands.start import read_arguments, start

FILE = f"--config={Path(__file__).parents[2] / 'experiments' / 'scenes_c.py'}"


@pytest.fixture
def ending(monkeypatch):
    """What `work` raises -> the status with which the command ends."""
    before = signal.getsignal(signal.SIGTERM)

    def run(work):
        monkeypatch.setattr(starting, "find", lambda home: work)
        command = replace(RUN, settings="", example="")
        with pytest.raises(SystemExit) as end:
            start(command, [])
        return end.value.code

    yield run
    signal.signal(signal.SIGTERM, before)


def raising(error):
    def work(arguments):
        raise error

    return work


def test_ctrl_c_and_termination_say_how_to_go_on(ending, capsys):
    assert ending(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.startswith("interrupted; what was finished is kept, the same c")

    def terminated(arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    assert ending(terminated) == 143
    assert capsys.readouterr().err.startswith("terminated; what was finished is kept, the same co")


def test_what_the_system_refuses_is_one_line(ending):
    full = OSError(28, "No space left on device", "/results/metrics.jsonl")
    message = "error: /results/metrics.jsonl: No space left on device; what was finished is kept"
    assert ending(raising(full)) == message
    assert ending(raising(MemoryError())).startswith("error: not enough memory")
    assert ending(lambda arguments: None) == 0


def test_settings_that_cannot_matter_are_named():
    given = [
        FILE,
        "--config.settings.tent.image.learning_rate=1e-3",
        "--config.adapt.steps=1",
        "--config.gsr.w_max=0.5",
        "--config.seeds=1",
    ]
    experiment = read_arguments(RUN, given).settings
    assert idle_settings(experiment, given) == [
        "note: --config.settings.tent.image.learning_rate=1e-3 changes nothing: tent does not run",
        "note: --config.adapt.steps=1 changes nothing: nothing is adapted",
        "note: --config.gsr.w_max=0.5 changes nothing: gsr.rewriter is off",
    ]
    experiment = replace(experiment, method=("tent",))
    assert len(idle_settings(experiment, given)) == 1
