"""The training loop: resumes, reports, saves; stops at the first loss that is not finite."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from reex_jax.checkpoints import restore_latest, save_state
from reex_jax.errors import UserError
from reex_jax.progress import Progress


@dataclass(frozen=True)
class LoopSettings:
    """When the loop reports and saves; all in steps."""

    num_steps: int
    report_every: int
    save_every: int
    seed: int


@dataclass
class Meter:
    """Collects metrics on the device and fetches their mean only when a report is due."""

    pending: list[dict[str, jax.Array]] = field(default_factory=list)

    def add(self, metrics: dict[str, jax.Array]) -> None:
        self.pending.append(metrics)

    def flush(self) -> dict[str, float]:
        """Means since the last flush."""
        fetched = jax.device_get(self.pending)
        self.pending = []
        return {name: float(np.mean([m[name] for m in fetched])) for name in fetched[0]}


def data_mesh(batch_size: int) -> Mesh:
    """All devices along one axis `data`, over which batches are split.

    Raises:
        UserError: the devices do not divide the batch.
    """
    devices = jax.device_count()
    if batch_size % devices:
        raise UserError(f"batch_size {batch_size} cannot be split over {devices} devices evenly")
    axis_types = (jax.sharding.AxisType.Auto,)
    return jax.make_mesh((devices,), ("data",), axis_types=axis_types)


def train(
    step_fn: Callable[..., tuple[Any, Any, dict[str, jax.Array]]],
    params: Any,
    opt_state: Any,
    batches_from: Callable[[int], Iterator[dict[str, np.ndarray]]],
    settings: LoopSettings,
    manager: ocp.CheckpointManager,
    mesh: Mesh,
) -> Any:
    """Runs until `settings.num_steps`, going on from the newest checkpoint; returns parameters.

    An interrupted and resumed run ends with the same numbers: batches and augmentation depend on
    the step alone.

    Args:
        step_fn: (params, opt_state, batch, key) -> (params, opt_state, metrics), see `step.py`.
        params: starting parameters.
        opt_state: starting state of the optimiser.
        batches_from: first step -> iterator of batches.
        settings: see `LoopSettings`.
        manager: where checkpoints go.
        mesh: from `data_mesh`.

    Raises:
        UserError: the loss became NaN or infinite, or the checkpoint belongs to another model.
    """
    state = jax.device_put((params, opt_state), NamedSharding(mesh, PartitionSpec()))
    (params, opt_state), done = restore_latest(manager, state)
    split = NamedSharding(mesh, PartitionSpec("data"))
    key = jax.random.key(settings.seed)
    meter = Meter()
    if done:
        print(f"resumed after step {done}", flush=True)
    bar = Progress(settings.num_steps, done=done, unit="step", label="training")
    for step, batch in enumerate(batches_from(done), start=done):
        batch = jax.device_put(batch, split)
        step_key = jax.random.fold_in(key, step)
        params, opt_state, metrics = step_fn(params, opt_state, batch, step_key)
        meter.add(metrics)
        bar.update()
        if (step + 1) % settings.report_every == 0 or step + 1 == settings.num_steps:
            _report(step + 1, settings.num_steps, meter.flush())
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.num_steps:
            save_state(manager, step + 1, (params, opt_state))
    bar.close()
    manager.wait_until_finished()
    return params


def _report(step: int, num_steps: int, means: dict[str, float]) -> None:
    if not np.isfinite(means["loss"]):
        raise UserError(
            f"the loss is {means['loss']} around step {step}; lower optimizer.learning_rate, then "
            "start again: the run goes on from the last checkpoint"
        )
    numbers = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
    tqdm.write(f"step {step}/{num_steps}  {numbers}", sys.stdout)
    sys.stdout.flush()
