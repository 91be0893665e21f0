"""A sweep runs in one process, and compiles the step of a method once."""

import importlib.util
from pathlib import Path

import jax

from reex_jax.benchmark import passes
from reex_jax.benchmark.run import run_benchmark

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_seeds_and_severities_compile_nothing_more(small_config, tmp_path, monkeypatch):
    compiled, after = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    original = passes.measure

    def counted(*given, **settings):
        found = original(*given, **settings)
        after.append(len(compiled))
        return found

    monkeypatch.setattr(passes, "measure", counted)
    config = small_config(
        tmp_path,
        method=("tent",),
        directions=("image_to_text",),
        seeds=(0, 1, 2),
        corruptions={"image": ("gaussian_noise", "fog"), "severities": (1, 3, 5)},
    )
    run_benchmark(config)
    assert len(after) == 3 * (1 + 2 * 3)
    assert after[0] > 0
    # Of the first seed clean queries are asked on the way, which is compiled in its first pass too.
    assert after[-1] == after[0]


def test_sweeps_of_a_file_join():
    spec = importlib.util.spec_from_file_location("scenes_c", EXPERIMENTS / "scenes_c.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    both = module.get_config("seeds,severities")
    assert both.seeds == (0, 1, 2) and both.corruptions.severities == (1, 2, 3, 4, 5)
