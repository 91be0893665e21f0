"""Lists the captions that an experiment searches with, for rewriting them.

python -m reex_jax.benchmark.list_captions --config=experiments/scenes_c.py --out=captions.jsonl
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from reex_jax.config import check_command_line, check_config, shrink
from reex_jax.datasets.load import load_data
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.errors import UserError

_USAGE = "python -m reex_jax.benchmark.list_captions --config=experiments/X.py --out=captions.jsonl"


def write_captions(data: RetrievalSet, out: Path) -> None:
    """Writes {"caption_id", "caption"} a line, in the order of the data set.

    Raises:
        UserError: the file cannot be written.
    """
    lines = [
        json.dumps({"caption_id": name, "caption": caption}, ensure_ascii=False) + "\n"
        for name, caption in zip(data.caption_ids, data.captions, strict=True)
    ]
    try:
        out.write_text("".join(lines), "utf-8")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check the path") from error


def main(argv: Sequence[str]) -> None:
    """Writes the captions of --config to --out."""
    values = flags.FlagValues()  # of our own: importing this module must not define any flag
    config = config_flags.DEFINE_config_file("config", sys_argv=list(argv), flag_values=values)
    out = flags.DEFINE_string("out", "", "the file to write", flag_values=values)
    flags.mark_flag_as_required("config", flag_values=values)
    check_command_line(argv)
    try:
        values(list(argv))
    except flags.Error as error:
        raise UserError(f"{error} Usage: {_USAGE}") from error
    if not out.value:
        raise UserError(f"--out names no file. Usage: {_USAGE}")
    check_config(config.value)
    data = load_data((shrink(config.value) if config.value.runlocal else config.value).data)
    write_captions(data, Path(out.value))
    print(f"wrote {len(data.captions)} captions of {data.name} to {out.value}")


if __name__ == "__main__":
    try:
        main(sys.argv)
    except UserError as error:
        sys.exit(f"error: {error}")
