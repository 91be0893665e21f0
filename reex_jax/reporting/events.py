"""TensorBoard events of a run: each stream's numbers."""

from pathlib import Path

from tensorboardX import SummaryWriter

from reex_jax.reporting.rows import Row

_SHOWN = (
    *("recall@1", "recall@5", "recall@10", "mAP", "median_rank"),
    *("loss", "confident", "skipped", "queries_per_s", "step_ms"),
)


def write_events(folder: Path, rows: list[Row]) -> None:
    """Writes rows to `folder`/events, in the place of those that are there.

    The curves of single passes below it stay (see `live`). A stream's severity is the step of its
    curve.
    """
    for old in (folder / "events").glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(str(folder / "events")) as writer:
        for row in rows:
            stream = f"{row['method']}/{row['direction']}/{row['corruption']}/seed{row['seed']}"
            for name in _SHOWN:
                # TensorBoard allows no @ in a name.
                tag = f"{stream}/{name.replace('@', '_at_')}"
                if row[name] is not None:  # a loss that was never finite
                    writer.add_scalar(tag, row[name], row["severity"])
