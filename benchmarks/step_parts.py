"""How much of an update step is neither tower nor search: losses, exclusion sets, calibration.

    python -m benchmarks.step_parts --out parts.json    # ViT-B/16: minutes a line on a CPU
    python -m benchmarks.step_parts --tiny              # does it run at all: seconds

"own ms" is the very same update (`compile_update`: every step's loss, its gradient, AdamW, guards
and calibration) around an encoder without a tower: it scales given embeddings and brings them to
length 1. "step ms" is what a batch costs with the tower, its ranks included; "own share" the one
over the other. The two take turns. AdamW then has two arrays instead of all LayerNorms', and what
the tower's work hides on the device does not hide here, so the share is an estimate.
"""

import argparse
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measuring import Row, Run, alternate, reason, release, write_rows
from benchmarks.step import LENGTH, METHODS, inputs_of, random_clip, shape_of, unit_rows
from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.adaptation.replicas import replicate
from reex_jax.adaptation.state import initial_state
from reex_jax.adaptation.update import compile_update
from reex_jax.arrays import unit
from reex_jax.models.clip.api import Clip
from reex_jax.models.transformer import compute_dtype


def bare_encoder(dim: int) -> QueryEncoder:
    """Of embeddings [B, dim]; what adapts are a scale and a bias, as a LayerNorm has them."""

    def front(constants: Constants, inputs: jax.Array) -> jax.Array:
        return inputs

    def back(parameters: Any, constants: Constants, stream: jax.Array) -> jax.Array:
        return unit(stream * parameters["scale"][None] + parameters["bias"][None])

    def shuffle(inputs: jax.Array, keys: jax.Array) -> jax.Array:
        return jax.vmap(lambda row, key: jax.random.permutation(key, row))(inputs, keys)

    parameters = {"scale": jnp.ones(dim), "bias": jnp.zeros(dim)}
    return QueryEncoder(front, back, shuffle, parameters, ())


def own_run(adapter: Adapter, embeddings: np.ndarray) -> Run:
    """One update of the adapter's method on embeddings [B, d]; waits for the device."""
    parts, devices = adapter.parts, jax.devices()[:1]
    encoder = bare_encoder(embeddings.shape[1])
    constants = parts.constants._replace(frozen=(), source=encoder.parameters)
    source = replicate(encoder.parameters, devices)
    fixed = parts.replicated._replace(frozen=(), source=source)  # with the adapter's own gallery
    update = compile_update(parts.objective, encoder, parts.settings, parts.ranking, devices)
    first = initial_state(parts.objective, parts.settings, constants, parts.ranking)
    state = replicate(first, devices)
    inputs, mask = embeddings[None], np.ones((1, len(embeddings)), bool)

    def run() -> None:
        nonlocal state
        state, queries, diagnostics = update(fixed, state, inputs, mask)
        jax.block_until_ready(queries)
        for value in diagnostics:
            value.item()  # as the adapter reads them

    return run


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    """A row for every case; one that fails says why."""
    shape = shape_of(arguments.tiny)
    clip = random_clip(shape, arguments.precision)
    for query, method, batch, items in itertools.product(
        arguments.queries, arguments.methods, arguments.batches, arguments.galleries
    ):
        row: Row = {"query": query, "method": method, "batch": batch, "gallery": items}
        try:
            row |= measure_case(arguments, clip, row)
        except Exception as error:
            row["failed"] = reason(error)
        release()
        yield row


def measure_case(arguments: argparse.Namespace, clip: Clip, case: Row) -> Row:
    """What is measured of one case."""
    dim, batch = clip.config.projection_dim, case["batch"]
    rows = unit_rows(case["gallery"] + batch, dim)
    answers = np.random.default_rng(2).integers(0, case["gallery"], (batch, 5)).astype(np.int32)
    inputs = inputs_of(clip.config, case["query"], batch, LENGTH)
    adapter = Adapter(
        clip,
        rows[batch:],
        query=case["query"],
        method=case["method"],
        batch_size=batch,
        steps=arguments.steps,
        devices=1,
    )
    runs: dict[str, Run] = {"step": partial(adapter.ranks, inputs, answers)}
    times, _ = alternate(runs | {"own": own_run(adapter, rows[:batch])}, arguments.repeats)
    step, own = (float(np.median(times[name])) for name in ("step", "own"))
    return {"step_ms": 1e3 * step, "own_ms": 1e3 * own, "own_share": own / step}


def main() -> None:
    """Measures every case, prints the table, and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--queries", nargs="+", choices=("image", "text"), default=["image", "text"]
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--batches", nargs="+", type=int, default=(64,))
    parser.add_argument("--galleries", nargs="+", type=int, default=(5000, 25000))
    parser.add_argument("--steps", type=int, default=3, help="updates for a batch")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--tiny", action="store_true", help="a model of seconds, to try it out")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.batches, arguments.galleries = [8], [100]
    about = {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    about |= {"precision": jnp.dtype(compute_dtype(arguments.precision)).name}
    write_rows(measure(arguments), about | {"steps": arguments.steps}, arguments.out)


if __name__ == "__main__":
    main()
