"""Curves while a run works: each pass is a run of TensorBoard, and, if asked, of W&B.

A pass writes to `events/batches/<method and stream>`; the same names in all of them, so that
TensorBoard lays them over each other. The step is the number of queries so far.
"""

import importlib
import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tensorboardX import SummaryWriter

from reex_jax.errors import UserError
from reex_jax.reporting.run_folder import RunFolder

WANDB = "wandb"


def check_wandb(wanted: bool) -> None:
    """Refuses to begin a run whose curves would have nowhere to go.

    Raises:
        UserError: Weights & Biases is wanted and not installed.
    """
    if wanted and importlib.util.find_spec(WANDB) is None:
        raise UserError(
            "record.wandb is True, but Weights & Biases is not installed; install it with "
            "`pip install wandb`, or leave --config.record.wandb out (TensorBoard needs nothing)"
        )


class Curves:
    """Where the curves of a run go."""

    def __init__(self, folder: RunFolder, config: Mapping[str, Any], wandb: bool) -> None:
        """Begins; one run of Weights & Biases stands for the whole folder.

        Raises:
            UserError: Weights & Biases does not begin.
        """
        self._folder, self._wandb = folder, None
        if wandb:
            module = importlib.import_module(WANDB)
            try:
                self._wandb = module.init(
                    project="reex_jax",
                    name=folder.path.name,
                    group=folder.path.parent.name,
                    dir=str(folder.path),
                    config=dict(config),
                )
            except Exception as error:
                raise UserError(
                    f"Weights & Biases does not begin ({' '.join(str(error).split()):.200}); log "
                    "in with `wandb login`, or set WANDB_MODE=offline in the environment"
                ) from error

    @contextmanager
    def of(self, method: str, stream: Any) -> Iterator["PassCurves"]:
        """The curves of one pass; what an interrupted one left behind is taken away.

        Args:
            method: its name.
            stream: the pass's last stream.
        """
        path = self._folder.curves(method, stream)
        shutil.rmtree(path, ignore_errors=True)
        name = f"{method}/{stream.direction}/{stream.corruption}/{stream.severity}/{stream.seed}"
        with SummaryWriter(str(path)) as writer:
            yield PassCurves(writer, self._wandb, name)

    def close(self) -> None:
        """Ends the run of Weights & Biases."""
        if self._wandb is not None:
            self._wandb.finish()


class PassCurves:
    """Takes the values of each batch."""

    def __init__(self, writer: SummaryWriter, wandb: Any, name: str) -> None:
        """`wandb`: a run of it, or None; `name`: of the pass, in front of its values there."""
        self._writer, self._wandb, self._name = writer, wandb, name

    def __call__(self, queries: int, values: Mapping[str, float]) -> None:
        """Writes one point of each curve, to disk before it returns."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, queries)
        self._writer.flush()
        if self._wandb is not None:
            found = {f"{self._name}/{name}": value for name, value in values.items()}
            self._wandb.log(found | {f"{self._name}/queries": queries})
