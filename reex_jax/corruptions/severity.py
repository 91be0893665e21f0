"""Severities: 0 leaves an item as it is, 1 is weakest; how high they go depends on the kind."""

import numpy as np

from reex_jax.errors import UserError


def check_severity(corruption: str, severity: int, highest: int) -> int:
    """`severity` as an int in [0, highest].

    Raises:
        UserError: it is no integer, or lies outside.
    """
    wrong_type = isinstance(severity, bool) or not isinstance(severity, int | np.integer)
    if wrong_type or not 0 <= severity <= highest:
        raise UserError(
            f"{corruption}: there is no severity {severity!r}; choose an integer from 1 to "
            f"{highest} (0 leaves the item as it is)"
        )
    return int(severity)
