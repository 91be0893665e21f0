"""Serves an index over HTTP: a JSON API, and a page on which anyone sees what ReEx does.

python -m reex_jax serve --index=INDEX --serve.port=8000
"""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from reex_jax.commands.arguments import Arguments
from reex_jax.commands.compile_cache import use_compile_cache
from reex_jax.index import open_index
from reex_jax.index.backends.load import check_installed, make_backend, open_backend
from reex_jax.models.load import load_model
from reex_jax.service.app import make_app
from reex_jax.service.demo import DEMO, DemoIndex, make_demo
from reex_jax.service.kept import writable_folder
from reex_jax.service.learner import Learner
from reex_jax.service.parts import Parts, make_parts
from reex_jax.service.run import bound_socket, run_app
from reex_jax.settings.machine import AUTO
from reex_jax.settings.methods import Methods
from reex_jax.settings.scenes import TUNED
from reex_jax.settings.search import EXACT
from reex_jax.settings.service import TOKEN_VARIABLE, Service


def serve(arguments: Arguments) -> None:
    """The command: what its options say."""
    settings: Service = arguments.settings
    token = os.environ.get(TOKEN_VARIABLE, "")
    settings.check_token(token)
    check_installed(settings.search)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("reex_jax").setLevel(logging.INFO)
    bound = bound_socket(settings.host, settings.port)
    parts = load_parts(arguments.options["index"], settings)
    run_app(make_app(parts, token), parts, bound, lambda at: _greet(at, parts))


def load_parts(index: str, settings: Service) -> Parts:
    """A service of an index's folder, or of the demo index.

    Raises:
        UserError: no index, another model, or settings that cannot be.
    """
    if index == DEMO:
        return _demo_parts(settings)
    opened = open_index(index)
    name = settings.model or opened.identity.name
    model = load_model(
        name, precision=settings.precision, preprocessing=opened.identity.preprocessing
    )
    opened.check_model(model)
    place = Path(settings.state) if settings.state else _beside(Path(index))
    folder = writable_folder(place)
    exact = settings.search.backend == EXACT
    return make_parts(
        model,
        name,
        opened,
        settings,
        folder,
        backend=None if exact else open_backend(opened, settings.search),
        remote=(folder_learner, (str(index), name, settings, folder)),
    )


def folder_learner(index: str, name: str, settings: Service, folder: Path) -> Learner:
    """The learner of an index's folder, in a process of its own."""
    use_compile_cache(AUTO)
    opened = open_index(index)
    model = load_model(
        name, precision=settings.precision, preprocessing=opened.identity.preprocessing
    )
    return Learner(model, opened.embeddings, list(opened.ids), settings, folder)


def demo_learner(index: DemoIndex, settings: Service, folder: Path) -> Learner:
    """The same of the demo index."""
    use_compile_cache(AUTO)
    model = load_model(precision=settings.precision)
    return Learner(model, index.embeddings, index.ids, settings, folder)


def _demo_parts(settings: Service) -> Parts:
    model = load_model(precision=settings.precision)
    index, demo = make_demo(model)
    own = settings.settings if settings.settings != Methods() else TUNED
    settings = replace(settings, noise=True, settings=own)
    folder = writable_folder(Path(settings.state or "demo-state"))
    exact = settings.search.backend == EXACT
    light: Any = DemoIndex(index.ids, (), index.embeddings, ())
    return make_parts(
        model,
        "bundled",
        index,
        settings,
        folder,
        demo=demo,
        backend=None if exact else make_backend(index.embeddings, settings.search),
        remote=(demo_learner, (light, settings, folder)),
    )


def _beside(folder: Path) -> Path:
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}-state")


def _greet(address: str, parts: Parts) -> None:
    print(
        f"serving {len(parts.index):,} items at {address} (the API: {address}/docs); it answers "
        f"as soon as its programs are compiled: {address}/ready",
        flush=True,
    )
