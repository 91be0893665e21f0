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
from typing import Any, Literal

import httpx2

from reex_jax.errors import UserError
from reex_jax.gsr.channel.rescore import LEAD

_AFTER = 3  # words after the last difference that are still read
_NEVER = -1e4


@dataclass(eq=False)
class CompletionsScorer:
    """Asks a server; see the module for how.

    Attributes:
        base_url: ends with /v1.
        model: its name there.
        key: sent as bearer token; "" for none.
        timeout_s: for one request.
        attempts: of one request.
        connections: open at the same time.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 60.0
    attempts: int = 4
    connections: int = 8
    way: Literal["", "echo", "forced"] = ""

    @property
    def identity(self) -> str:
        """Model and lead; the way changes nothing but rounding."""
        return f"completions model={self.model} lead={LEAD!r}"

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[list[float]]:
        """For each list its sentences' log probabilities, apart from what they share."""
        if lists:
            yield from asyncio.run(self._score(lists))

    async def _score(self, lists: Sequence[Sequence[str]]) -> list[list[float]]:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx2.Limits(max_connections=self.connections)
        gate = asyncio.Semaphore(self.connections)
        async with httpx2.AsyncClient(
            headers=headers, limits=limits, timeout=self.timeout_s
        ) as client:
            if not self.way:
                self.way = await self._find_way(client)
            ask = self._echoed if self.way == "echo" else self._forced

            async def one(before: str, rest: str) -> float:
                async with gate:
                    return await ask(client, before, rest)

            parts = [differing_parts(sentences) for sentences in lists]
            flat = await asyncio.gather(
                *(one(before, rest) for before, rests in parts for rest in rests)
            )
        scores = iter(flat)
        return [[next(scores) for _ in sentences] for sentences in lists]

    async def _find_way(self, client: httpx2.AsyncClient) -> Literal["echo", "forced"]:
        try:
            await self._echoed(client, LEAD, " a dog")
        except _NoLogProbabilitiesError:
            pass
        else:
            return "echo"
        try:
            await self._forced(client, LEAD, " a dog")
        except _NoLogProbabilitiesError as error:
            raise UserError(
                f"{self.base_url} gives no log probabilities of prompts: neither echo (vLLM) nor "
                f"grammars of tokens (llama.cpp) work there ({error}); gsr.rewriter 'rescore' "
                "needs one of them"
            ) from error
        return "forced"

    async def _echoed(self, client: httpx2.AsyncClient, before: str, rest: str) -> float:
        prompt = before + rest
        reply = await self._post(
            client,
            "/completions",
            {"prompt": prompt, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0},
        )
        try:
            logs = reply["choices"][0]["logprobs"]
            offsets, values = logs["text_offset"], logs["token_logprobs"]
        except (KeyError, IndexError, TypeError) as error:
            raise _NoLogProbabilitiesError("no text_offset and token_logprobs") from error
        if not offsets or offsets[0] != 0:
            raise _NoLogProbabilitiesError("the prompt is not echoed")
        return math.fsum(
            value if value is not None else 0.0
            for offset, value in zip(offsets, values, strict=True)
            if len(before) <= offset < len(prompt)
        )

    async def _forced(self, client: httpx2.AsyncClient, before: str, rest: str) -> float:
        try:
            root = self.base_url.rstrip("/").removesuffix("/v1")
            cut = await self._post(client, "/tokenize", {"content": rest}, root)
            tokens = [int(token) for token in cut["tokens"]]
        except (KeyError, TypeError, ValueError) as error:
            raise _NoLogProbabilitiesError("/tokenize gives no tokens") from error
        reply = await self._post(
            client,
            "/completions",
            {
                "prompt": before,
                "max_tokens": len(tokens),
                "temperature": 0,
                "logprobs": 1,
                "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in tokens),
            },
        )
        try:
            written = reply["choices"][0]["logprobs"]["content"]
            values = [float(item["logprob"]) for item in written[: len(tokens)]]
            same = [item.get("id") for item in written[: len(tokens)]] == tokens
        except (KeyError, IndexError, TypeError) as error:
            raise _NoLogProbabilitiesError("no log probabilities of tokens") from error
        if not same:
            raise _NoLogProbabilitiesError("the grammar's tokens are not what was written")
        return math.fsum(max(value, _NEVER) for value in values)

    async def _post(
        self, client: httpx2.AsyncClient, path: str, body: dict[str, Any], root: str = ""
    ) -> Any:
        url = (root or self.base_url.rstrip("/")) + path
        fault = ""
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(2.0 ** (attempt - 1))
            try:
                reply = await client.post(url, json={"model": self.model} | body)
            except httpx2.TransportError as error:
                fault = f"{type(error).__name__}: {error}"
                continue
            if reply.status_code == 200:
                return json.loads(reply.content)
            fault = f"HTTP {reply.status_code}: {' '.join(reply.text.split())[:200]}"
            if reply.status_code in (400, 404, 405, 422, 501):
                raise _NoLogProbabilitiesError(fault)
            if reply.status_code in (401, 403):
                raise UserError(f"{url} answers {fault}; set OPENAI_API_KEY to a valid key")
        raise UserError(f"{url} does not answer after {self.attempts} attempts ({fault})")


class _NoLogProbabilitiesError(Exception):
    """The server does not do it this way."""


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
