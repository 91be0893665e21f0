"""Which characters a reading machine takes for which."""

# Pairs that look alike, read in both directions. The facts are nlpaug 1.1.11's OCR table, with
# which MM_Robustness made its captions.
_PAIRS = "08 09 0o 0O 0D 14 17 1l 1I 2z 2Z 58 6b 8s 8S 8@ 8& 9g 9q ou rk CG OD OU EB"


def _confusions() -> dict[str, str]:
    alike: dict[str, set[str]] = {}
    for pair in _PAIRS.split():
        left, right = pair[0], pair[1]
        alike.setdefault(left, set()).add(right)
        alike.setdefault(right, set()).add(left)
    return {character: "".join(sorted(others)) for character, others in alike.items()}


OCR_CONFUSIONS = _confusions()
"""Character -> the characters that it may be taken for."""
