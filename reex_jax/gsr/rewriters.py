"""The rewriter that settings name."""

import os
from collections.abc import Container

from reex_jax.errors import unknown
from reex_jax.gsr.channel.choosing import ChoosingRewriter
from reex_jax.gsr.channel.completions import CompletionsScorer
from reex_jax.gsr.channel.jax_scorer import JaxScorer
from reex_jax.gsr.channel.load import load_language
from reex_jax.gsr.channel.local_scorer import LocalScorer
from reex_jax.gsr.channel.rescore import RescoringRewriter, Scorer
from reex_jax.gsr.channel.rewriter import ChannelRewriter
from reex_jax.gsr.dictionary import Dictionary
from reex_jax.gsr.endpoint import Endpoint
from reex_jax.gsr.local_model import LocalRewriter
from reex_jax.gsr.openai_chat import OpenAIRewriter
from reex_jax.gsr.repair import NoRewriter, Rewriter
from reex_jax.gsr.symspell import SymSpellRewriter
from reex_jax.settings.choices import REWRITERS
from reex_jax.settings.repair import RepairSettings

_AT_ONCE = 16  # texts that are rescored together; a pass that is killed loses these
_JAX_AT_ONCE = 256  # their readings fill an accelerator
KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that holds the key of the endpoint; nothing else may."""


def make_rewriter(settings: RepairSettings, dictionary: Dictionary) -> Rewriter:
    """Makes the rewriter that settings name; models load when they are asked.

    Raises:
        UserError: there is no such rewriter, or what it needs is not there.
    """
    if settings.rewriter == "channel":
        return ChannelRewriter(*load_language(dictionary))
    if settings.rewriter == "rescore":
        return RescoringRewriter(
            ChannelRewriter(*load_language(dictionary)),
            _scorer(settings),
            settings.n_best,
            settings.model_weight,
            settings.pair_weight,
            batch=(
                _JAX_AT_ONCE
                if settings.scorer == "jax"
                else max(_AT_ONCE, settings.concurrency // 4)
            ),
        )
    if settings.rewriter == "symspell":
        return SymSpellRewriter(dictionary)
    if settings.rewriter == "none":
        return NoRewriter()
    if settings.rewriter == "openai":
        chat = _openai(settings, dictionary.counts)
        if settings.prompt == "repair":
            return chat
        channel = ChannelRewriter(*load_language(dictionary))
        return ChoosingRewriter(channel, chat, settings.n_best)
    if settings.rewriter == "transformers":
        return LocalRewriter(
            settings.model,
            settings.revision,
            dictionary.counts,
            temperature=settings.temperature,
            samples=settings.samples,
            max_tokens=settings.max_tokens,
            batch_size=settings.batch_size,
        )
    raise unknown("rewriter", settings.rewriter, REWRITERS[1:])


def _endpoint(settings: RepairSettings) -> Endpoint:
    return Endpoint(
        settings.base_url,
        os.environ.get(KEY_VARIABLE, ""),
        settings.timeout_s,
        settings.attempts,
        connections=settings.concurrency,
    )


def _scorer(settings: RepairSettings) -> Scorer:
    if settings.scorer == "jax":
        return JaxScorer(settings.model, settings.revision)
    if settings.scorer == "transformers":
        return LocalScorer(settings.model, settings.revision, settings.batch_size)
    return CompletionsScorer(_endpoint(settings), settings.model, settings.concurrency)


def _openai(settings: RepairSettings, words: Container[str]) -> OpenAIRewriter:
    return OpenAIRewriter(
        _endpoint(settings),
        settings.model,
        words,
        temperature=settings.temperature,
        samples=settings.samples,
        max_tokens=settings.max_tokens,
        concurrency=settings.concurrency,
    )
