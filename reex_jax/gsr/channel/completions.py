"""Log probabilities of sentences from a server with OpenAI's completions interface.

Two ways, tried in this order once:

- `echo`: vLLM and others return the prompt's own log probabilities.
- `forced`: llama.cpp ignores `echo` without a word (tried: xllamacpp 2026.10). But its grammars
  may name tokens (`<[17]>`), so a sentence that `/tokenize` has cut is written token by token under
  a grammar that allows nothing else, and the log probabilities that come back are the model's own,
  from before the grammar. It costs a step a token, so only the words from the first difference of
  a list to a few after its last one are asked for.
"""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import httpx2

from reex_jax.errors import UserError
from reex_jax.gsr.channel.rescore import LEAD, Scores
from reex_jax.gsr.completion import BadReplyError, token_counts
from reex_jax.gsr.endpoint import (
    Call,
    Endpoint,
    FilteredError,
    NotThereError,
    RejectedError,
    TransientError,
)
from reex_jax.gsr.repair import FAILED

_AFTER = 3  # words after the last difference that are still read
_NEVER = -1e4


class _NoLogProbabilitiesError(Exception):
    """The server does not do it this way."""


class _Read(NamedTuple):
    """A sentence's log probability and what it cost."""

    value: float
    prompt_tokens: int
    reply_tokens: int


def _parse(body: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as error:
        start = body[:60].decode("utf-8", "replace")
        raise BadReplyError(f"no JSON: {start!r}") from error
    if not isinstance(reply, dict) or reply.get("error") or not _has_counts(reply):
        raise BadReplyError("no completion")
    return reply


def _has_counts(reply: dict[str, Any]) -> bool:
    return isinstance(reply.get("usage") or {}, dict)


_COMPLETIONS = Call(
    "/completions", _parse, ("model", "prompt", "max_tokens", "echo", "logprobs", "grammar")
)
_TOKENIZE = Call("/tokenize", _parse, ("model", "content"), at_root=True)


@dataclass(eq=False)
class CompletionsScorer:
    """Asks a server; see the module for how.

    Attributes:
        endpoint: the server.
        model: its name there.
        concurrency: requests at the same time.
        way: how this server does it, once that is known.
    """

    endpoint: Endpoint
    model: str
    concurrency: int = 8
    way: Literal["", "echo", "forced"] = field(default="", repr=False)

    @property
    def identity(self) -> str:
        """Model and lead; the way changes nothing but rounding."""
        return f"completions model={self.model} lead={LEAD!r}"

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[Scores]:
        """For each list its sentences' log probabilities, apart from what they share."""
        if lists:
            yield from asyncio.run(self._score(lists))

    async def _score(self, lists: Sequence[Sequence[str]]) -> list[Scores]:
        async with self.endpoint.client() as client:
            try:
                if not self.way:
                    self.way = await self._find_way(client)
            except TransientError as error:
                return [Scores([], fault=f"{FAILED}: {error}") for _ in lists]
            gate = asyncio.Semaphore(self.concurrency)
            # A group, so that what ends one list for good does not leave the others running.
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._score_list(client, gate, sentences))
                        for sentences in lists
                    ]
            except* UserError as errors:
                raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    async def _score_list(
        self, client: httpx2.AsyncClient, gate: asyncio.Semaphore, sentences: Sequence[str]
    ) -> Scores:
        ask = self._echoed if self.way == "echo" else self._forced
        before, rests = differing_parts(sentences)

        async def read(rest: str) -> _Read:
            async with gate:
                return await ask(client, before, rest)

        found = await asyncio.gather(*map(read, rests), return_exceptions=True)
        reads = [item for item in found if isinstance(item, _Read)]
        spent = sum(item.prompt_tokens for item in reads), sum(item.reply_tokens for item in reads)
        for item in found:
            if isinstance(item, FilteredError):
                return Scores([], *spent, fault="refusal")
            if isinstance(item, TransientError | RejectedError | _NoLogProbabilitiesError):
                return Scores([], *spent, fault=f"{FAILED}: {item}")
            if isinstance(item, BaseException):
                raise item
        return Scores([item.value for item in reads], *spent)

    async def _find_way(self, client: httpx2.AsyncClient) -> Literal["echo", "forced"]:
        faults = []
        ways: tuple[tuple[Literal["echo", "forced"], Any], ...] = (
            ("echo", self._echoed),
            ("forced", self._forced),
        )
        for way, ask in ways:
            try:
                await ask(client, LEAD, " a dog")
            except (_NoLogProbabilitiesError, RejectedError, NotThereError) as error:
                faults.append(f"{way}: {error}")
            else:
                return way
        raise UserError(
            "the server gives no log probabilities of prompts: neither echo (vLLM) nor grammars "
            f"of tokens (llama.cpp) work there ({'; '.join(faults)}). gsr.rewriter 'rescore' needs "
            "one of them; or set gsr.scorer to 'transformers'"
        )

    async def _echoed(self, client: httpx2.AsyncClient, before: str, rest: str) -> _Read:
        prompt = before + rest
        wanted = {"prompt": prompt, "max_tokens": 1, "echo": True, "logprobs": 1}
        reply = await self._complete(client, wanted)
        try:
            logs = reply["choices"][0]["logprobs"]
            offsets, values = logs["text_offset"], logs["token_logprobs"]
            if not offsets or offsets[0] != 0:
                raise _NoLogProbabilitiesError("the prompt is not echoed")
            if not any(values):
                raise _NoLogProbabilitiesError("zeros for all log probabilities")
            # A token that begins every text, such as <s>, counts as text for some servers.
            shift = max("".join(logs.get("tokens") or ()).find(prompt), 0)
            value = math.fsum(
                _log(value)
                for offset, value in zip(offsets, values, strict=True)
                if len(before) <= offset - shift < len(prompt)
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _NoLogProbabilitiesError("no text_offset and token_logprobs") from error
        return _Read(value, *token_counts(reply))

    async def _forced(self, client: httpx2.AsyncClient, before: str, rest: str) -> _Read:
        if not rest:
            return _Read(0.0, 0, 0)
        cut = await self.endpoint.ask(client, _TOKENIZE, {"model": self.model, "content": rest})
        try:
            tokens = [int(token) for token in cut["tokens"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _NoLogProbabilitiesError("/tokenize gives no tokens") from error
        grammar = "root ::= " + " ".join(f"<[{token}]>" for token in tokens)
        wanted = {"prompt": before, "max_tokens": len(tokens), "logprobs": 1, "grammar": grammar}
        reply = await self._complete(client, wanted)
        try:
            written = reply["choices"][0]["logprobs"]["content"][: len(tokens)]
            same = [item.get("id") for item in written] == tokens
            value = math.fsum(_log(item["logprob"]) for item in written)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise _NoLogProbabilitiesError("no log probabilities of tokens") from error
        if not same:
            raise _NoLogProbabilitiesError("the grammar's tokens are not what was written")
        return _Read(value, *token_counts(reply))

    async def _complete(self, client: httpx2.AsyncClient, wanted: dict[str, Any]) -> dict[str, Any]:
        request = {"model": self.model, "temperature": 0} | wanted
        return await self.endpoint.ask(client, _COMPLETIONS, request)


def _log(value: Any) -> float:
    """A log probability as a server writes it; the first token of a text has none.

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return 0.0
    if not isinstance(value, float | int) or not value <= 1e-3:
        raise ValueError("no log probability")
    return max(float(value), _NEVER)


def differing_parts(sentences: Sequence[str]) -> tuple[str, list[str]]:
    """What all sentences begin with, after the lead, and how each goes on.

    What stands more than three words behind the last difference is left out.

    >>> differing_parts(["a red cat sat", "a bed cat sat"])
    ('A caption of a photo: a', [' red cat sat', ' bed cat sat'])
    """
    words = [sentence.split() for sentence in sentences]
    shortest = min(map(len, words))
    first = next((at for at in range(shortest) if len({row[at] for row in words}) > 1), shortest)
    common = next(
        (at for at in range(shortest - first) if len({row[-1 - at] for row in words}) > 1),
        shortest - first,
    )
    cut = max(common - _AFTER, 0)
    before = " ".join([LEAD, *words[0][:first]])
    return before, ["".join(f" {word}" for word in row[first : len(row) - cut]) for row in words]
