"""Several streams of ReEx side by side on one device, and one stream on several devices.

    python -m benchmarks.streams --out streams.json     # ViT-B/16, for a GPU
    python -m benchmarks.streams --tiny                 # does it run at all: seconds
    python -m benchmarks.streams --weak 1 2 4 8         # made-up devices of one CPU

A round adapts to a batch of every stream and fetches the ranks of its right answers. Weights are
random, since time does not depend on them. "device ms" is a round whose queries are on the device
already; "peak share" the towers' matrix work in a round over what one large matrix product reaches;
"temp MB" what XLA says that the program needs beside its arguments. Streams that do not fit into
memory end the list.

`--weak` shares batches of 8 queries a device between so many devices that XLA makes of one CPU,
each count in a process of its own. It shows that the step of several devices runs and what that
costs, and cannot show that it scales: such devices share the cores, so on two cores eight devices
take four times as long as two at best. "efficiency" is the time of the first count over that of
this one; 100 % would take a core for every device.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measuring import Row, matrix_peak, reason, release, seconds, write_rows
from benchmarks.step import LENGTH, inputs_of, random_clip, shape_of, tower_flops, unit_rows
from reex_jax.adaptation.adapter import Adapter
from reex_jax.adaptation.side_by_side import Batches, SideBySide
from reex_jax.models.load import load_model
from reex_jax.models.transformer import compute_dtype

EACH = 8
"""Queries of a device in `--weak`."""
PATIENCE = 900
"""Seconds for one count of devices."""


def measure(arguments: argparse.Namespace, peak: float) -> Iterator[Row]:
    """A row for every count of streams, until they do not fit."""
    shape = shape_of(arguments.tiny)
    batch, steps = arguments.batch, arguments.steps
    adapter = Adapter(
        random_clip(shape, arguments.precision),
        unit_rows(arguments.gallery, shape.projection_dim),
        query=arguments.query,
        method="reex",
        batch_size=batch,
        steps=steps,
        devices=1,
    )
    inputs = inputs_of(shape, arguments.query, batch, LENGTH)
    answers = np.random.default_rng(2).integers(0, arguments.gallery, (batch, 5)).astype(np.int32)
    work = tower_flops(shape, arguments.query, batch, LENGTH, steps)
    one = None  # queries a second of one stream
    for streams in arguments.counts:
        row: Row = {"streams": streams}
        try:
            row |= measure_count(adapter, streams, inputs, answers, arguments.repeats)
            rate = streams * batch / row["round_ms"] * 1e3
            one = rate if streams == 1 else one
            row |= {"queries_per_s": rate, "speed_up_ratio": rate / one if one else None}
            row["peak_share"] = work * streams / row["round_ms"] * 1e3 / peak
        except Exception as error:
            row["failed"] = reason(error)
        release()
        yield row
        if "RESOURCE_EXHAUSTED" in row.get("failed", "") or "emory" in row.get("failed", ""):
            return


def measure_count(
    adapter: Adapter, streams: int, inputs: np.ndarray, answers: np.ndarray, repeats: int
) -> Row:
    """What so many streams take, each with the same batch."""
    together = SideBySide(adapter, streams, jax.devices()[:1])
    together.start(list(range(streams)))
    batches = Batches(
        np.repeat(inputs[None], streams, axis=0),
        np.ones((streams, len(inputs)), bool),
        np.ones(streams, bool),
        np.repeat(answers[None], streams, axis=0),
    )
    memory = compile_once(together, batches)
    row = {"round_ms": median_ms(lambda: together.ranks(batches).fetch(), repeats)}
    there = jax.block_until_ready(together._split(batches))

    def on_device() -> None:
        together._states, found = together._step(together._constants, together._states, there)
        found.fetch()

    return row | {"device_ms": median_ms(on_device, repeats), "temp_mb": memory}


def compile_once(together: SideBySide, batches: Batches) -> float | None:
    """Compiles the step for such batches and keeps the program; MB of its temporary memory.

    None where XLA does not tell.
    """
    values = together._constants, together._states, together._split(batches)
    program = together._step.lower(*values).compile()
    together._step = program  # `ranks` would compile it a second time
    try:
        return program.memory_analysis().temp_size_in_bytes / 1e6
    except Exception:
        return None


def median_ms(run: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of a call, after two that warm up."""
    run()
    run()
    return 1e3 * float(np.median([seconds(run) for _ in range(repeats)]))


def weak(arguments: argparse.Namespace) -> Iterator[Row]:
    """A row for every count of made-up devices, each from a process of its own."""
    first = None
    for count in arguments.weak:
        row: Row = {"devices": count, "batch": EACH * count}
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
        command = [sys.executable, "-m", "benchmarks.streams", "--of-weak", str(count)]
        command += ["--query", arguments.query, "--steps", str(arguments.steps)]
        command += ["--gallery", str(arguments.gallery), "--repeats", str(arguments.repeats)]
        command += ["--tiny"] if arguments.tiny else []
        try:
            done = subprocess.run(
                command,
                env=os.environ | {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
            row["step_ms"] = json.loads(done.stdout.splitlines()[-1])
            first = row["step_ms"] if first is None else first
            row["efficiency_share"] = first / row["step_ms"]
        except Exception as error:
            row["failed"] = reason(error)
        yield row


def weak_step(arguments: argparse.Namespace) -> float:
    """Milliseconds of a step of this process's devices, which share a batch."""
    devices = arguments.of_weak
    query, batch = arguments.query, EACH * devices
    tiny = random_clip(shape_of(True), "float32") if arguments.tiny else None
    clip: Any = tiny or load_model("bundled", precision="float32")
    adapter = Adapter(
        clip,
        unit_rows(arguments.gallery, clip.dim),
        query=query,
        method="reex",
        batch_size=batch,
        steps=arguments.steps,
        devices=devices,
    )
    inputs = inputs_of(clip.config, query, batch, LENGTH)
    answers = np.random.default_rng(2).integers(0, arguments.gallery, (batch, 5)).astype(np.int32)
    return median_ms(lambda: adapter.ranks(inputs, answers), arguments.repeats)


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 2, 4, 8, 16], help="streams")
    parser.add_argument("--weak", nargs="+", type=int, help="made-up devices, instead of streams")
    parser.add_argument("--of-weak", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--query", choices=("image", "text"), default="image")
    parser.add_argument("--batch", type=int, default=64, help="queries of a stream")
    parser.add_argument("--steps", type=int, default=3, help="updates for a batch")
    parser.add_argument("--gallery", type=int, default=5000, help="items")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--tiny", action="store_true", help="a model of seconds, to try it out")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.batch, arguments.gallery = 8, 100
    return arguments


def main() -> None:
    """Measures, prints the table, and writes the numbers."""
    arguments = read_arguments()
    if arguments.of_weak:
        print(weak_step(arguments))
        return
    about: Row = {"jax": jax.__version__, "query": arguments.query, "steps": arguments.steps}
    about["gallery"] = arguments.gallery
    if arguments.weak:
        about |= {"device": "cpu", "cores": os.cpu_count()}
        found = weak(arguments)
    else:
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")
        dtype = compute_dtype(arguments.precision)
        peak = matrix_peak(dtype, arguments.tiny)
        about |= {"device": jax.devices()[0].device_kind, "batch": arguments.batch}
        about |= {"precision": jnp.dtype(dtype).name, "matrix_peak_flops": peak}
        found = measure(arguments, peak)
    write_rows(found, about, arguments.out)


if __name__ == "__main__":
    main()
