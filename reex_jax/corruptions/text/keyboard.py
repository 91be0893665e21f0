"""Which keys lie side by side on a QWERTY keyboard."""

# Each row with its indent in widths of a key.
_ROWS = (("1234567890", 0.0), ("qwertyuiop", 0.5), ("asdfghjkl", 0.75), ("zxcvbnm", 1.25))


def _neighbours() -> dict[str, str]:
    keys = [
        (key, row, indent + column)
        for row, (letters, indent) in enumerate(_ROWS)
        for column, key in enumerate(letters)
    ]
    return {
        key: "".join(
            other
            for other, other_row, other_x in keys
            if other != key and abs(other_row - row) <= 1 and abs(other_x - x) <= 1
        )
        for key, row, x in keys
    }


_LOWER = _neighbours()

KEY_NEIGHBOURS = _LOWER | {
    key.upper(): neighbours.upper() for key, neighbours in _LOWER.items() if key.isalpha()
}
"""Letter a-z, A-Z or digit -> the letters (in the same case) and digits that touch its key."""
