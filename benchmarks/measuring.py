"""How the benchmarks of the update step measure, and how they show and keep what they find."""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

Row = dict[str, Any]
Run = Callable[[], Any]


def matrix_peak(dtype: Any, tiny: bool = False) -> float:
    """FLOP/s of a large matrix product on the first device, the best of ten and of two sizes.

    Of random numbers: products of ones take less power, and run faster on GPUs.
    """
    fast = jax.default_backend() != "cpu"
    sides = (512,) if tiny else (4096, 8192) if fast else (4096,)
    precision = jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision=precision))
    together = 10 if fast else 1  # products, so that a short one does not wait for the host
    best = 0.0
    for side in sides:
        a, b = (jax.random.normal(jax.random.key(i), (side, side), dtype) for i in range(2))

        def run(a: jax.Array = a, b: jax.Array = b) -> None:
            jax.block_until_ready([product(a, b) for _ in range(together)])

        run()
        best = max(best, 2 * side**3 * together / min(seconds(run) for _ in range(10)))
    return best


def seconds(run: Run) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def alternate(runs: dict[str, Run], repeats: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of every run, and why runs failed; they take turns, after two that warm up.

    A run that fails has no turns any more. The failure of the first one, ours, is raised.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    failed: dict[str, str] = {}
    for turn in range(-2, repeats):
        for name in list(times):
            try:
                took = seconds(runs[name])
            except Exception as error:
                if name == next(iter(runs)):
                    raise
                failed[name] = reason(error)
                del times[name]
                continue
            if turn >= 0:
                times[name].append(took)
    return times, failed


def reason(error: Exception) -> str:
    """In a line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:200]


def release() -> None:
    """Frees the memory of what is used no more."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def table(rows: list[Row]) -> str:
    """As Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [[_shown(name, row.get(name)) for name in names] for row in rows]
    heads = [name.replace("_", " ") for name in names]
    rule = ["-" * len(head) for head in heads]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))


def write_rows(found: Iterator[Row], about: Row, out: Path | None) -> None:
    """Prints and writes rows as they come, then prints the table."""
    rows: list[Row] = []
    for row in found:
        rows.append(row)
        print(json.dumps(row), flush=True)
        if out:  # after every row: a run that is stopped leaves what it has
            out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n", "utf-8")
    print(f"\n{json.dumps(about)}\n\n{table(rows)}")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("share"):
        return f"{100 * value:.0f} %"
    if name.endswith("ratio"):
        return f"{value:.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
