"""Functions by their names, and every way in which a name can be wrong."""

import json

import pytest

from reex_jax.errors import UserError
from reex_jax.named import load_named


def test_a_function_is_found():
    assert load_named("json:dumps", "it") is json.dumps


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("no_such:f", "No module named 'no_such'"),
        ("json:no_such", "module 'json' has no attribute 'no_such'"),
        ("json", "module 'json' has no attribute ''"),
        ("", "Empty module name"),
        (".json:dumps", "relative import"),
        ("math:pi", "it is a float, no function"),
        ("broken_for_names:f", r"broken_for_names\.py, line 2: invalid syntax"),
        ("fails_for_names:f", r"fails_for_names\.py, line 2: ZeroDivisionError: division by zero"),
        ("ends_for_names:f", r"ends_for_names\.py, line 1: SystemExit: 3"),
    ],
)
def test_what_cannot_be_loaded_is_named(tmp_path, monkeypatch, spec, reason):
    (tmp_path / "broken_for_names.py").write_text("a = 1\ndef\n")
    (tmp_path / "fails_for_names.py").write_text("a = 1\n1 / 0\n")
    (tmp_path / "ends_for_names.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"^it cannot be loaded \(.*{reason}.*name a function as"):
        load_named(spec, "it")
