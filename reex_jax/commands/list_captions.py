"""Lists the captions that an experiment searches with, for rewriting them.

python -m reex_jax list-captions --config=experiments/scenes_c.py --out=captions.jsonl
"""

import json
from pathlib import Path

from reex_jax.commands.arguments import Arguments
from reex_jax.datasets.load import load_data
from reex_jax.errors import UserError
from reex_jax.settings.experiment import Experiment


def list_captions(arguments: Arguments) -> None:
    """The command: what the experiment and its options say."""
    write_captions(arguments.settings, arguments.options["out"])


def write_captions(experiment: Experiment, out: str | Path) -> None:
    """Writes {"caption_id", "caption"} a line, in the order of the data set, and says how many.

    With `runlocal` they are those of the small copy.

    Raises:
        UserError: the data is missing or faulty, or the file cannot be written.
    """
    experiment = experiment.shrunk() if experiment.runlocal else experiment
    data = load_data(experiment.data, decode=False)
    lines = [
        json.dumps({"caption_id": name, "caption": caption}, ensure_ascii=False) + "\n"
        for name, caption in zip(data.caption_ids, data.captions, strict=True)
    ]
    try:
        Path(out).write_text("".join(lines), "utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check the path") from error
    print(f"wrote {len(lines)} captions of {data.name} to {out}")
