"""A service under its own server."""

from dataclasses import replace

import pytest

from reex_jax.errors import UserError
from reex_jax.service.app import make_app
from reex_jax.service.parts import make_parts
from reex_jax.service.run import address_of, bound_socket, run_app


def test_a_taken_port_is_refused_before_anything_is_loaded():
    with bound_socket("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        assert address_of(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=r"--serve\.port=PORT"):
            bound_socket("127.0.0.1", port)


@pytest.mark.parametrize("broken", ["engine", "teacher"])
def test_a_service_that_cannot_begin_ends_and_says_why(
    monkeypatch, tmp_path, model, scenes, settings, broken
):
    def fails(*_):
        raise RuntimeError("no memory is left")

    index, demo = scenes
    learning = replace(settings.learning, on=broken == "teacher")
    parts = make_parts(
        model, "bundled", index, replace(settings, learning=learning), tmp_path, demo=demo
    )
    if broken == "engine":
        monkeypatch.setattr(parts.engine, "warm_up", fails)
    else:
        monkeypatch.setattr(parts.teacher.learner, "start", fails)
    said = []
    with pytest.raises(UserError, match="could not begin: RuntimeError: no memory is left"):
        run_app(make_app(parts), parts, bound_socket("127.0.0.1", 0), said.append)
    assert said and not parts.ready
