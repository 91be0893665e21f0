"""Repairs of text queries while they wait: an embedded rewriter, and what a cache already holds."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reex_jax.gsr.cache import Cache
from reex_jax.gsr.dictionary import Dictionary, load_dictionary
from reex_jax.gsr.features import features_of
from reex_jax.gsr.repair import Repair, Rewriter
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.service.asked import RepairedText
from reex_jax.settings.choices import EMBEDDED, OFF
from reex_jax.settings.repair import RepairSettings

_KEPT = 10_000
"""Repairs that are remembered: people ask the same things."""


@dataclass
class TextRepairs:
    """Repairs one text at a time; safe in several threads.

    Attributes:
        rewriter: works within a request.
        dictionary: says which words are known.
        cached: text -> what a language model answered earlier; it comes first.
    """

    rewriter: Rewriter
    dictionary: Dictionary
    cached: Mapping[str, Repair]

    def __post_init__(self) -> None:
        self._known: OrderedDict[str, RepairedText] = OrderedDict()
        self._lock = threading.Lock()

    def repair(self, text: str) -> RepairedText:
        """The text with its repair."""
        with self._lock:  # rewriters keep what they looked up, without locks of their own
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
            found = self.cached.get(text) or next(iter(self.rewriter.rewrite([text])))
            features = features_of([found], self.dictionary.counts)
            oov, lost, edit, generation = (float(part[0]) for part in features)
            made = RepairedText(found, (oov, lost, edit, generation))
            self._known[text] = made
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return made

    def warm_up(self) -> None:
        """Makes the indexes of similar words, which takes seconds."""
        self.repair("a rde crcle")


def load_repairs(settings: RepairSettings) -> TextRepairs | None:
    """What repairs texts for a service; None without a rewriter.

    A language model is never asked: what its offline pass wrote to the cache is taken from there,
    all other texts are left to the noisy channel.

    Raises:
        UserError: the cache is damaged, or the rewriter's data are not there.
    """
    if settings.rewriter == OFF:
        return None
    dictionary = load_dictionary(settings.captions)
    rewriter = make_rewriter(settings, dictionary)
    if settings.rewriter in (*EMBEDDED, "none"):
        return TextRepairs(rewriter, dictionary, {})
    cache = Cache(Path(settings.cache))
    cached = cache.read(rewriter.identity, cache.texts(rewriter.identity))
    channel = make_rewriter(replace(settings, rewriter="channel"), dictionary)
    return TextRepairs(channel, dictionary, cached)
