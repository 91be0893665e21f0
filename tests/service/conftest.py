"""A small demo index, and services of it that learn in a thread."""

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from reex_jax.models.clip.api import load_clip
from reex_jax.service.app import make_app
from reex_jax.service.demo import make_demo
from reex_jax.service.parts import make_parts
from reex_jax.settings.repair import RepairSettings
from reex_jax.settings.service import Learning, Limits, Service

SCENES = 60


@pytest.fixture(scope="session")
def model():
    return load_clip(precision="float32")


@pytest.fixture(scope="session")
def scenes(model):
    """(index, samples)"""
    return make_demo(model, SCENES)


@pytest.fixture(scope="session")
def settings():
    """Few shapes, no waiting, repair by the light rewriter."""
    return Service(
        batch_sizes=(1, 4),
        noise=True,
        limits=Limits(k=20),
        learning=Learning(where="thread", wait_s=0.0, batch_size=4, steps=1),
        gsr=RepairSettings(rewriter="symspell"),
    )


@pytest.fixture(scope="session")
def make_service(model, scenes, settings):
    """(folder, token, backend, **changes of settings) -> a running service's client and parts."""

    @contextmanager
    def make(folder, token="", backend=None, **changes):
        index, demo = scenes
        changed = replace(settings, **changes)
        parts = make_parts(model, "bundled", index, changed, folder, demo=demo, backend=backend)
        if parts.teacher:
            parts.teacher.warm = ()  # a test compiles what it needs
        with TestClient(make_app(parts, token), base_url="http://localhost") as client:
            wait_for(lambda: client.get("/ready").status_code == 200)
            yield client, parts

    return make


@pytest.fixture(scope="session")
def wait_until():
    """(condition) -> nothing, as soon as it holds."""
    return wait_for


def wait_for(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
