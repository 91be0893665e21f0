"""The rewriter that a configuration names."""

import os
from collections.abc import Container

from ml_collections import ConfigDict

from reex_jax.errors import unknown
from reex_jax.gsr.dictionary import Dictionary
from reex_jax.gsr.endpoint import Endpoint
from reex_jax.gsr.local_model import LocalRewriter
from reex_jax.gsr.openai_chat import OpenAIRewriter
from reex_jax.gsr.refinement import NoRewriter, Rewriter
from reex_jax.gsr.settings import KEY_VARIABLE, REWRITERS
from reex_jax.gsr.symspell import SymSpellRewriter


def make_rewriter(gsr: ConfigDict, dictionary: Dictionary) -> Rewriter:
    """Makes the rewriter of `config.gsr`, already checked; models load when they are asked.

    Raises:
        UserError: there is no such rewriter, or what it needs is not there.
    """
    if gsr.rewriter == "symspell":
        return SymSpellRewriter(dictionary)
    if gsr.rewriter == "none":
        return NoRewriter()
    if gsr.rewriter == "openai":
        return _openai(gsr, dictionary.counts)
    if gsr.rewriter == "transformers":
        return LocalRewriter(
            gsr.model,
            gsr.revision,
            dictionary.counts,
            temperature=gsr.temperature,
            samples=gsr.samples,
            max_tokens=gsr.max_tokens,
            batch_size=gsr.batch_size,
        )
    raise unknown("rewriter", gsr.rewriter, REWRITERS[1:])


def _openai(gsr: ConfigDict, words: Container[str]) -> OpenAIRewriter:
    endpoint = Endpoint(
        gsr.base_url,
        os.environ.get(KEY_VARIABLE, ""),
        gsr.timeout_s,
        gsr.attempts,
        connections=gsr.concurrency,
    )
    return OpenAIRewriter(
        endpoint,
        gsr.model,
        words,
        temperature=gsr.temperature,
        samples=gsr.samples,
        max_tokens=gsr.max_tokens,
        concurrency=gsr.concurrency,
    )
