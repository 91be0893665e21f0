"""Step time and queries a second of our update step, beside the same step in plain PyTorch.

    python -m benchmarks.step --out step.json    # ViT-B/16: minutes a line on a CPU
    python -m benchmarks.step --tiny --repeats 2           # does it run at all: seconds

One step is what a batch costs: its updates (three, but for `none`) and the ranks of its right
answers. Weights are random, since time does not depend on them. Ours and PyTorch's take turns, so
that other work on the machine meets both; "ratio" is the median of PyTorch's time over ours, turn
by turn. "peak share" is the tower's matrix work over what one large matrix product reaches on the
same device. PyTorch's are left out where torch is not installed; for texts it is timed at our
length and at CLIP's 77 tokens. Run it on a machine that does nothing else.
"""

import argparse
import gc
import importlib.util
import itertools
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tabulate import tabulate

from reex_jax.adaptation.adapter import Adapter
from reex_jax.models.clip.api import Clip
from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.preprocess import Preprocessing
from reex_jax.models.transformer import compute_dtype

METHODS = ("none", "tent", "tcr", "reex")
LENGTH = 16
"""Tokens of a text: the bucket of most captions of COCO."""
FULL_LENGTH = 77

Row = dict[str, Any]
Run = Callable[[], Any]


def shape_of(tiny: bool) -> ClipConfig:
    """ViT-B/16 with 224 pixels, or something that compiles in seconds."""
    if not tiny:
        return ClipConfig(VisionConfig(patch_size=16), TextConfig(), 512)
    width = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    width["num_attention_heads"] = 2
    vision = VisionConfig(**width, image_size=32, patch_size=16)
    text = TextConfig(**width, vocab_size=64, bos_token_id=62, eos_token_id=63)
    return ClipConfig(vision, text, 16)


def random_clip(shape: ClipConfig, precision: str) -> Clip:
    """A model of that shape that no file holds."""
    model = ClipModel(shape, compute_dtype=compute_dtype(precision), rngs=nnx.Rngs(0))
    return Clip(model, None, Preprocessing(shape.vision.image_size), Path("random"))


def unit_rows(count: int, dim: int) -> np.ndarray:
    """Random unit vectors [count, dim] float32."""
    rows = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def inputs_of(shape: ClipConfig, query: str, batch: int, length: int) -> np.ndarray:
    """Random pixels (bytes), or ids of texts that end at their last token."""
    random = np.random.default_rng(1)
    if query == "image":
        side = shape.vision.image_size
        return random.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    ids = random.integers(1, shape.text.vocab_size - 3, (batch, length)).astype(np.int32)
    ids[:, -1] = shape.text.eos_token_id
    return ids


def tower_flops(shape: ClipConfig, query: str, batch: int, length: int, steps: int) -> float:
    """Of the matrix products of one step.

    The forward pass of the source, then forward and gradient of the stream for every update; no
    gradient of a matrix is computed.
    """
    tower = shape.vision if query == "image" else shape.text
    tokens = shape.vision.num_positions if query == "image" else length
    width, inner = tower.hidden_size, tower.intermediate_size
    products = 8 * width**2 + 4 * width * inner  # of one token in one layer
    attention = 4 * tokens * width
    forward = batch * tokens * tower.num_hidden_layers * (products + attention)
    # The gradient through attention is twice its forward pass, through a frozen matrix once.
    update = forward + batch * tokens * tower.num_hidden_layers * (products + 2 * attention)
    return float(forward + steps * update)


def matrix_peak(dtype: Any, side: int) -> float:
    """FLOP/s of a [side, side] product on the first device, the best of ten."""
    x = jnp.ones((side, side), dtype)
    precision = jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
    product(x).block_until_ready()
    best = min(seconds(lambda: product(x).block_until_ready()) for _ in range(10))
    return 2 * side**3 / best


def seconds(run: Run) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(arguments: argparse.Namespace, peak: float) -> Iterator[Row]:
    """A row for every case."""
    shape = shape_of(arguments.tiny)
    clip = random_clip(shape, arguments.precision)
    for query, method, batch, items in itertools.product(
        arguments.queries, arguments.methods, arguments.batches, arguments.galleries
    ):
        gallery = unit_rows(items, shape.projection_dim)
        answers = np.random.default_rng(2).integers(0, items, (batch, 5)).astype(np.int32)
        inputs = inputs_of(shape, query, batch, arguments.length)
        ours = Adapter(
            clip,
            gallery,
            query=query,
            method=method,
            batch_size=batch,
            steps=arguments.steps,
            last_layers=arguments.last_layers,
            remat=arguments.remat,
        )
        runs: dict[str, Run] = {"ours": partial(ours.ranks, inputs, answers)}
        if arguments.torch != "off" and not arguments.last_layers:
            runs |= torch_runs(arguments, shape, query, method, gallery, inputs, answers)
        times = alternate(runs, arguments.repeats)
        own = float(np.median(times["ours"]))
        steps = 0 if method == "none" else arguments.steps
        work = tower_flops(shape, query, batch, arguments.length, steps)
        row = {"query": query, "method": method, "batch": batch, "gallery": items}
        row |= {"step_ms": 1e3 * own, "queries_per_s": batch / own}
        row["peak_share"] = None if arguments.last_layers else work / own / peak
        for name, theirs in times.items():
            if name != "ours":
                row[f"{name}_ms"] = 1e3 * float(np.median(theirs))
                pairs = zip(theirs, times["ours"], strict=True)
                row[f"{name}_ratio"] = float(np.median([a / b for a, b in pairs]))
        del ours, runs
        gc.collect()
        yield row


def alternate(runs: dict[str, Run], repeats: int) -> dict[str, list[float]]:
    """Seconds of every run; they take turns, after two that warm up."""
    for run in runs.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return times


def torch_runs(
    arguments: argparse.Namespace,
    shape: ClipConfig,
    query: str,
    method: str,
    gallery: np.ndarray,
    inputs: np.ndarray,
    answers: np.ndarray,
) -> dict[str, Run]:
    """PyTorch's steps by name, none where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    from benchmarks.step_torch import TorchStep  # needs torch

    padded = inputs
    if query == "image":
        inputs = padded = inputs.astype(np.float32) / 255
    elif inputs.shape[1] < FULL_LENGTH:
        padded = np.pad(inputs, ((0, 0), (0, FULL_LENGTH - inputs.shape[1])), mode="edge")
    runs: dict[str, Run] = {}
    kinds = {"eager": False, "compiled": True}
    for name, compiled in kinds.items():
        if arguments.torch in ("all", name):
            values = shape.to_dict(), query, method, gallery
            step = TorchStep(*values, steps=arguments.steps, compiled=compiled)
            runs[name] = partial(step, inputs, answers)
            if query == "text" and not compiled:
                runs["eager_77"] = partial(step, padded, answers)
    return runs


def table(rows: list[Row]) -> str:
    """As Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [[_shown(name, row.get(name)) for name in names] for row in rows]
    heads = [name.replace("_", " ") for name in names]
    return tabulate(lines, heads, tablefmt="github", disable_numparse=True)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "peak_share":
        return f"{100 * value:.0f} %"
    if name.endswith("ratio"):
        return f"{value:.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measures every case, prints the table, and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--queries", nargs="+", choices=("image", "text"), default=["image", "text"]
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--batches", nargs="+", type=int, default=(64, 32))
    parser.add_argument("--galleries", nargs="+", type=int, default=(5000, 25000))
    parser.add_argument("--steps", type=int, default=3, help="updates for a batch")
    parser.add_argument("--length", type=int, default=LENGTH, help="tokens of a text")
    parser.add_argument("--last-layers", type=int, default=0, help="adapt so many blocks; 0: all")
    parser.add_argument("--remat", choices=("none", "dots"), default="dots")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--torch", choices=("all", "eager", "compiled", "off"), default="all")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--tiny", action="store_true", help="a model of seconds, to try it out")
    parser.add_argument("--out", type=Path, help="write the numbers here, as JSON")
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.batches, arguments.galleries = [8], [100]
    dtype = compute_dtype(arguments.precision)
    peak = matrix_peak(dtype, 512 if arguments.tiny else 4096)
    about = {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "precision": str(dtype),
        "matrix_peak_flops": peak,
        "remat": arguments.remat,
        "last_layers": arguments.last_layers,
        "steps": arguments.steps,
    }
    rows: list[Row] = []
    for row in measure(arguments, peak):
        rows.append(row)
        print(json.dumps(row), flush=True)
        if arguments.out:  # after every row: a run that is stopped leaves what it has
            arguments.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", "utf-8")
    print(f"\n{json.dumps(about)}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
