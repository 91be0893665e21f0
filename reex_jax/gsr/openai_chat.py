"""The rewriter `openai`: any server with OpenAI's chat interface, several requests at a time."""

import asyncio
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx2

from reex_jax.gsr.completion import Choice, Completion
from reex_jax.gsr.endpoint import Endpoint, RejectedError, TransientError
from reex_jax.gsr.prompt import VERSION, build_messages
from reex_jax.gsr.repair import FAILED, Repair, no_repair
from reex_jax.gsr.replies import choose_repair


class Question(Protocol):
    """What a chat model is asked about a text, and what its replies mean."""

    def messages(self, text: str) -> list[dict[str, str]]:
        """The chat about one text."""
        ...

    def repair(self, text: str, choices: Sequence[Choice], tokens: tuple[int, int]) -> Repair:
        """What the replies say; `tokens` were read and written for them."""
        ...


@dataclass(frozen=True)
class Mending:
    """Asks for the mended text itself.

    Attributes:
        words: known words in lower case, for the check of replies.
    """

    words: Container[str] = field(repr=False)

    def messages(self, text: str) -> list[dict[str, str]]:
        """The chat about one text."""
        return build_messages(text)

    def repair(self, text: str, choices: Sequence[Choice], tokens: tuple[int, int]) -> Repair:
        """The reply that most samples agree on."""
        return choose_repair(text, choices, self.words, tokens)


@dataclass(frozen=True)
class OpenAIRewriter:
    """Asks a chat model for each repair.

    Attributes:
        endpoint: the server.
        model: its name there.
        words: known words in lower case, for the check of replies.
        temperature: of sampling.
        samples: replies for each query; above 1, their agreement is the confidence where the
            server gives no log-probabilities.
        max_tokens: of a reply; a query that may need more for itself gets more.
        concurrency: requests at the same time.
        question: what is asked; None for the mended text itself.
    """

    endpoint: Endpoint
    model: str
    words: Container[str] = field(repr=False)
    temperature: float = 0.0
    samples: int = 1
    max_tokens: int = 128
    concurrency: int = 8
    question: Question | None = None

    @property
    def identity(self) -> str:
        """Model, prompt and decoding settings; the address does not count."""
        return self.named(VERSION)

    def named(self, prompt: int) -> str:
        """The identity with another version of the prompt."""
        return (
            f"openai model={self.model} prompt={prompt} temperature={self.temperature:g} "
            f"samples={self.samples} max_tokens={self.max_tokens}"
        )

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, as the replies arrive.

        A query that the server does not answer gives a repair with `failed`.

        Raises:
            UserError: the key, the address or the model is wrong.
        """
        waiting = iter(texts)
        arrived: asyncio.Queue[tuple[Repair | Exception, asyncio.Event]] = asyncio.Queue()

        async def work(client: httpx2.AsyncClient) -> None:
            for text in waiting:
                answer: Repair | Exception
                try:
                    answer = await self._repair(client, text)
                except Exception as error:
                    answer = error  # raised where the repairs are read
                stored = asyncio.Event()
                await arrived.put((answer, stored))
                # Whoever reads the answers stores one before asking for the next. So a process
                # that is killed loses at most one answer for each of its connections.
                await stored.wait()

        async def work_all() -> None:
            async with self.endpoint.client() as client, asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(texts))):
                    group.create_task(work(client))

        async def next_answer(
            working: asyncio.Task[None],
        ) -> tuple[Repair | Exception, asyncio.Event]:
            """The next to arrive; raises what ended the work, so that nobody waits for ever."""
            arriving = asyncio.ensure_future(arrived.get())
            await asyncio.wait({arriving, working}, return_when=asyncio.FIRST_COMPLETED)
            if arriving.done():
                return arriving.result()
            arriving.cancel()
            working.result()
            raise RuntimeError("the requests ended before every text had its answer")

        with asyncio.Runner() as runner:
            # The loop runs while the next reply is waited for; closing the runner cancels the rest.
            working = runner.get_loop().create_task(work_all())
            for _ in texts:
                answer, stored = runner.run(next_answer(working))
                if isinstance(answer, Exception):
                    raise answer
                yield answer
                stored.set()
            runner.run(asyncio.wait_for(working, None))

    async def _repair(self, client: httpx2.AsyncClient, text: str) -> Repair:
        question = self.question or Mending(self.words)
        try:
            completion = await self._sample(client, text, question)
        except (TransientError, RejectedError) as error:
            return no_repair(text, f"{FAILED}: {error}")
        tokens = completion.prompt_tokens, completion.reply_tokens
        return question.repair(text, completion.choices, tokens)

    async def _sample(
        self, client: httpx2.AsyncClient, text: str, question: Question
    ) -> Completion:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": question.messages(text),
            "temperature": self.temperature,
            "max_tokens": max(self.max_tokens, _most_tokens(text)),
            "logprobs": True,
        }
        if self.samples > 1:
            request["n"] = self.samples
        completion = await self.endpoint.complete(client, request)
        # Some servers ignore n silently: the missing samples are asked for one by one.
        while len(completion.choices) < self.samples:
            more = await self.endpoint.complete(client, request | {"n": 1})
            completion = replace(
                completion,
                choices=(completion.choices + more.choices)[: self.samples],
                prompt_tokens=completion.prompt_tokens + more.prompt_tokens,
                reply_tokens=completion.reply_tokens + more.reply_tokens,
            )
        return completion


def _most_tokens(text: str) -> int:
    """More tokens than a repair of the text has: damaged words and other scripts need most."""
    return len(text.encode(errors="replace")) // 2 + 16
