"""Names that settings may have where the code behind them needs JAX or lies above."""

from collections.abc import Mapping
from types import MappingProxyType

PRECISIONS = ("auto", "float32", "bfloat16")
"""Of matrix products, see `load_clip`."""

MODES = ("clip", "tcr")
"""How queries are preprocessed, see `Preprocessing`."""

IMAGE_TO_TEXT = "image_to_text"
TEXT_TO_IMAGE = "text_to_image"
DIRECTIONS = (IMAGE_TO_TEXT, TEXT_TO_IMAGE)

QUERIES = ("image", "text")
"""What a query may be; the gallery holds the other."""

QUERY_OF: Mapping[str, str] = MappingProxyType(dict(zip(DIRECTIONS, QUERIES, strict=True)))
"""Direction -> what its queries are."""

CLEAN = "clean"
"""The corruption of a stream without any."""

RULES = "rules"
"""In the place of a file of rewritten captions: scenes have rules that rewrite theirs."""

REPAIRED = " + repair"
"""Behind the name of a method in rows of repaired queries, where others stand beside them."""

ON_ERROR = ("raise", "skip")
"""What happens when files of a data set are faulty."""

SCENES_SPLITS: Mapping[str, int] = MappingProxyType({"train": 1, "tune": 2, "test": 3})
"""Splits of generated scenes, each with the number that its random draws start from."""

PARAMETERS = ("layer_norms", "block_layer_norms", "all")
"""Which parameters of the query encoder adapt, see `adaptation.encoder`."""

SCORES = ("last_forward", "before", "after")
"""Which embeddings are ranked."""

REMATS = ("none", "dots")
"""What a gradient computes again instead of keeping it: nothing, or all but products."""

STREAMS = "streams"
LAYOUTS = ("queries", STREAMS)
"""What devices share: the queries of one stream, or the streams."""

PROTOCOLS = ("reset", "continual", "mixed")
"""In which passes a method sees the streams."""

PUBLISHED = ("", "tcr_blip_base", "tcr_blip_large", "tcr_clip")
"""Tables of other people's numbers that stand beside ours, see `reporting.published`."""

OFF = ""
REWRITERS = (OFF, "channel", "symspell", "rescore", "openai", "transformers", "none")
EMBEDDED = ("channel", "symspell")
"""Rewriters that need nothing but word lists, and mend some hundred captions a second."""
PROMPTS = ("repair", "choose")
"""What a chat model is asked: for a repair, or which of the channel's readings is meant."""
SCORERS = ("completions", "transformers", "jax")
FUSION_NAMES = ("dynamic", "original", "replace", "fixed")
