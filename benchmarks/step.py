"""Step time and queries a second of our update step, beside the same step in plain PyTorch.

    python -m benchmarks.step --out step.json    # ViT-B/16: minutes a line on a CPU
    python -m benchmarks.step --tiny --repeats 2           # does it run at all: seconds

One step is what a batch costs: its updates (three, but for `none`) and the ranks of its right
answers. Weights are random, since time does not depend on them. Ours and PyTorch's take turns, so
that other work on the machine meets both; "ratio" is the median of PyTorch's time over ours, turn
by turn. "peak share" is the tower's matrix work over what one large matrix product reaches on the
same device. PyTorch's are left out where torch is not installed; for texts it is timed at our
length and at CLIP's 77 tokens. "streamed" is a batch of many, each fetched while the next is being
worked on. Both get pictures as bytes. What fails is named in its row, and the
rest goes on. Run it on a machine that does nothing else; `benchmarks.step_parts` says how much of a
step is neither tower nor search.
"""

import argparse
import importlib.util
import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.measuring import (
    Row,
    Run,
    alternate,
    matrix_peak,
    reason,
    release,
    seconds,
    write_rows,
)
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
    whole = 8 * width**2 + 4 * width * inner, 4 * tokens * width  # weights, attention; of a token
    layers = tower.num_hidden_layers - 1
    # In the last block all tokens are looked at (keys and values), but one alone looks.
    weights = layers * tokens * whole[0] + tokens * 4 * width**2 + whole[0] - 4 * width**2
    attention = (layers * tokens + 1) * whole[1]
    forward = batch * (weights + attention)
    # The gradient through attention is twice its forward pass, through a frozen matrix once.
    update = forward + batch * (weights + 2 * attention)
    return float(forward + steps * update)


def measure(arguments: argparse.Namespace, peak: float) -> Iterator[Row]:
    """A row for every case; one that fails says why."""
    shape = shape_of(arguments.tiny)
    clip = random_clip(shape, arguments.precision)
    for query, method, batch, items in itertools.product(
        arguments.queries, arguments.methods, arguments.batches, arguments.galleries
    ):
        row: Row = {"query": query, "method": method, "batch": batch, "gallery": items}
        try:
            row |= measure_case(arguments, clip, row, peak)
        except Exception as error:
            row["failed"] = reason(error)
        release()
        yield row


def measure_case(arguments: argparse.Namespace, clip: Clip, case: Row, peak: float) -> Row:
    """What is measured of one case."""
    shape, length = clip.config, arguments.length
    query, method, batch = case["query"], case["method"], case["batch"]
    gallery = unit_rows(case["gallery"], shape.projection_dim)
    answers = np.random.default_rng(2).integers(0, len(gallery), (batch, 5)).astype(np.int32)
    inputs = inputs_of(shape, query, batch, length)
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
    failed: dict[str, str] = {}
    if arguments.torch != "off" and not arguments.last_layers:
        try:
            runs |= torch_runs(arguments, shape, query, method, gallery, inputs, answers)
        except Exception as error:
            failed["torch"] = reason(error)
    times, failures = alternate(runs, arguments.repeats)
    own = float(np.median(times["ours"]))
    steps = 0 if method == "none" else arguments.steps
    work = tower_flops(shape, query, batch, length, steps)
    found: Row = {"step_ms": 1e3 * own, "queries_per_s": batch / own}
    found["streamed_ms"] = 1e3 * streamed(ours, inputs, answers)
    found["peak_share"] = None if arguments.last_layers else work / own / peak
    for name, theirs in times.items():
        if name != "ours":
            found[f"{name}_ms"] = 1e3 * float(np.median(theirs))
            pairs = zip(theirs, times["ours"], strict=True)
            found[f"{name}_ratio"] = float(np.median([a / b for a, b in pairs]))
    failed |= failures
    notes = "; ".join(f"{name}: {why}" for name, why in failed.items())
    return found | ({"failed": notes} if notes else {})


def streamed(adapter: Adapter, inputs: np.ndarray, answers: np.ndarray, batches: int = 8) -> float:
    """Seconds of a batch where its ranks are fetched while the device works on the next."""

    def run() -> None:
        before = adapter.begin_ranks(inputs, answers)
        for _ in range(batches - 1):
            after = adapter.begin_ranks(inputs, answers)
            before.fetch()
            before = after
        before.fetch()

    return seconds(run) / batches


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
    if query == "text" and inputs.shape[1] < FULL_LENGTH:
        padded = np.pad(inputs, ((0, 0), (0, FULL_LENGTH - inputs.shape[1])), mode="edge")
    runs: dict[str, Run] = {}
    kinds = {"eager": False, "compiled": True}
    for name, compiled in kinds.items():
        if arguments.torch in ("all", name):
            values = shape.to_dict(), query, method, gallery
            half = compute_dtype(arguments.precision) == jnp.bfloat16
            step = TorchStep(*values, steps=arguments.steps, compiled=compiled, half=half)
            runs[name] = partial(step, inputs, answers)
            if query == "text" and not compiled:
                runs["eager_77"] = partial(step, padded, answers)
    return runs


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
    if arguments.torch != "off":  # leave PyTorch a part of a GPU's memory
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
    dtype = compute_dtype(arguments.precision)
    peak = matrix_peak(dtype, arguments.tiny)
    about = {
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "precision": jnp.dtype(dtype).name,
        "matrix_peak_flops": peak,
        "remat": arguments.remat,
        "last_layers": arguments.last_layers,
        "steps": arguments.steps,
    }
    write_rows(measure(arguments, peak), about, arguments.out)


if __name__ == "__main__":
    main()
