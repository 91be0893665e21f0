"""Files with one JSON object a line, and errors that name the line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError, unknown
from reex_jax.files import refuse_pointer


def read_json_lines(
    path: Path, keys: Sequence[str], optional: Sequence[str] = (), *, advice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a UTF-8 file; empty lines are left out.

    Args:
        path: the file.
        keys: what every object has, as texts.
        optional: what it may have too, of any type.
        advice: what to do if the file cannot be read, for the error.

    Yields:
        The place ("FILE line 3") and the object.

    Raises:
        UserError: the file is a pointer of Git LFS, or it or one of its lines cannot be read, or an
            object has other keys.
    """
    refuse_pointer(path)
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{path} line {number}"
                    yield place, _record(line, place, keys, optional)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {advice}") from error


def _record(line: str, place: str, keys: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not JSON ({error}); mend or remove the line") from error
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in keys):
        raise UserError(
            f"{place}: expected an object with the texts {', '.join(keys)}, found {line!r:.80}"
        )
    for key in record.keys() - {*keys, *optional}:
        raise unknown(f"key in {place}:", key, (*keys, *optional))
    return record
