"""What to do about faulty items of a data set: refuse the set, or leave them out and say so."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from reex_jax.errors import UserError, printable, unknown
from reex_jax.settings.choices import ON_ERROR

_SHOWN = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Skipped:
    """An item that cannot be used.

    Attributes:
        id: the image's id, or the place of a caption in its file.
        reason: what is wrong with it.
    """

    id: str
    reason: str


def check_on_error(on_error: str) -> None:
    """Raises UserError unless `on_error` is one of ON_ERROR."""
    if on_error not in ON_ERROR:
        raise unknown("data.on_error", on_error, ON_ERROR)


def refuse_faults(source: str, faults: Sequence[Skipped], on_error: str) -> None:
    """With on_error "raise", raises one UserError that lists the faults, if there are any."""
    if faults and on_error == "raise":
        raise UserError(
            f"{source}: {_listed(faults)}\n"
            "mend or remove these, or set data.on_error=skip to leave them out"
        )


def log_skipped(source: str, skipped: Sequence[Skipped]) -> None:
    """Logs one warning that lists what was left out, if anything was."""
    if skipped:
        _log.warning("%s: left out %s", source, _listed(skipped))


def _line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _listed(faults: Sequence[Skipped]) -> str:
    """The number of faults and the first ten, one a line."""
    lines = [f"{len(faults)} faulty item{'s' * (len(faults) > 1)}:"]
    lines += [f"  {_line(fault.id)}: {_line(fault.reason)}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"  and {len(faults) - _SHOWN} more")
    return "\n".join(lines)
