"""Names that settings of CLIP may have, apart from its code, so that reading them needs no JAX."""

PRECISIONS = ("auto", "float32", "bfloat16")
"""Of matrix products, see `load_clip`."""

MODES = ("clip", "tcr")
"""How queries are preprocessed, see `Preprocessing`."""
