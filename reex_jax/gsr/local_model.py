"""The rewriter `transformers`: a language model on this machine, in batches. Needs PyTorch.

Chat models get the chat of `prompt`; other causal models the same as one text, of whose
continuation the first line counts; sequence-to-sequence models are taken for spelling correctors,
and get the query alone.
"""

import hashlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.gsr.completion import Choice, Tokens
from reex_jax.gsr.prompt import VERSION, build_messages, flat_prompt
from reex_jax.gsr.repair import Repair
from reex_jax.gsr.replies import CUT, choose_repair

_SPARE = 8  # tokens that a reply may have beyond twice the query's; longer ones are refused anyway


@dataclass(frozen=True, eq=False)
class LocalRewriter:
    """Repairs texts with a model of the transformers library.

    Attributes:
        model: a folder, or a hub id.
        revision: commit of a hub id; "" for a folder.
        words: known words in lower case, for the check of replies.
        temperature: of sampling; 0 takes the likeliest token each time.
        samples: replies for each query; the one that most agree on is taken.
        max_tokens: of a reply; a query that may need more for itself gets more.
        batch_size: queries at a time.

    Raises:
        UserError: a hub id without revision, so that nobody would know what filled the cache.
    """

    model: str
    revision: str
    words: Container[str] = field(repr=False)
    temperature: float = 0.0
    samples: int = 1
    max_tokens: int = 128
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Checks that the model is pinned."""
        check_pinned(self.model, self.revision)

    @cached_property
    def identity(self) -> str:
        """Model, prompt and decoding settings; a folder is known by its files, not its name."""
        return (
            f"transformers model={pinned_name(self.model, self.revision)} prompt={VERSION} "
            f"temperature={self.temperature:g} "
            f"samples={self.samples} max_tokens={self.max_tokens}"
        )

    def rewrite(self, texts: Sequence[str]) -> Iterator[Repair]:
        """One repair for each text, batch by batch, texts of like length together.

        Raises:
            UserError: PyTorch is not installed, or the model cannot be loaded.
        """
        by_length = sorted(texts, key=len)
        for start in range(0, len(by_length), self.batch_size):
            yield from self._rewrite_batch(by_length[start : start + self.batch_size])

    @cached_property
    def _loaded(self) -> "_Loaded":
        return _load(self.model, self.revision or None)

    def _rewrite_batch(self, texts: list[str]) -> Iterator[Repair]:
        loaded = self._loaded
        prompts = [loaded.prompt(text) for text in texts]
        query_tokens = max(len(loaded.tokenizer(text)["input_ids"]) for text in texts)
        most = min(max(self.max_tokens, query_tokens + _SPARE), 2 * query_tokens + _SPARE)
        replies = loaded.generate(prompts, most, self.temperature, self.samples)
        for text, choices in zip(texts, replies, strict=True):
            written = sum(count for _, count in choices)
            tokens = len(loaded.tokenizer(loaded.prompt(text))["input_ids"]), written
            yield choose_repair(text, [choice for choice, _ in choices], self.words, tokens)


def check_pinned(model: str, revision: str) -> None:
    """Raises a UserError for a hub id without revision: nobody would know what filled a cache."""
    if not Path(model).is_dir() and not revision:
        raise UserError(
            f"gsr.model {model!r} is no folder here; for a model of the hub set "
            "gsr.revision to a commit, so that the cache says which model filled it"
        )


def pinned_name(model: str, revision: str) -> str:
    """What a cache knows a model by: a folder by its files, a hub id by its revision."""
    folder = Path(model)
    name = f"sha256:{folder_digest(folder)}" if folder.is_dir() else model
    return f"{name}@{revision}" if revision else name


def folder_digest(folder: Path) -> str:
    """A short SHA-256 over the names and contents of all files of a model's folder."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as content:
            inner = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder)} {inner}\n".encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A model with its tokenizer; `torch` is the library, imported when a model is loaded."""

    torch: Any
    model: Any
    tokenizer: Any
    encodes: bool  # encoder and decoder: the reply does not begin with the prompt

    def prompt(self, text: str) -> str:
        if self.encodes:
            return text
        if not self.tokenizer.chat_template:
            return flat_prompt(text)
        chat: str = self.tokenizer.apply_chat_template(
            build_messages(text), tokenize=False, add_generation_prompt=True
        )
        return chat

    def generate(
        self, prompts: list[str], max_tokens: int, temperature: float, samples: int
    ) -> list[list[tuple[Choice, int]]]:
        """For each prompt its samples, each with the number of tokens written."""
        torch, chat = self.torch, bool(self.tokenizer.chat_template)
        inputs = self.tokenizer(
            prompts, return_tensors="pt", padding=True, add_special_tokens=self.encodes or not chat
        ).to(self.model.device)
        inputs.pop("token_type_ids", None)
        sampling = {"do_sample": True, "temperature": temperature} if temperature else {}
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(0)  # the same batch gives the same samples
            output = self.model.generate(
                **inputs,
                **({"do_sample": False} | sampling),
                num_beams=1,
                max_new_tokens=max_tokens,
                num_return_sequences=samples,
                return_dict_in_generate=True,
                output_logits=True,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            begin = 1 if self.encodes else inputs["input_ids"].shape[1]
            tokens = output.sequences[:, begin:]
            logs = [
                torch.log_softmax(step.float(), dim=-1).gather(1, tokens[:, i : i + 1])
                for i, step in enumerate(output.logits)
            ]
            rows = list(zip(tokens.tolist(), torch.cat(logs, dim=1).tolist(), strict=True))
        choices = [self._choice(*row) for row in rows]
        return [choices[i : i + samples] for i in range(0, len(choices), samples)]

    def _choice(self, tokens: list[int], logs: list[float]) -> tuple[Choice, int]:
        """The reply up to its end token, or to its first line's end where there is no chat."""
        ends = self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        count = next((i + 1 for i, token in enumerate(tokens) if token in ends), len(tokens))
        finished = tokens[count - 1] in ends
        written = self._written(tokens[:count], logs)
        text = self._decode(tokens[:count])
        if not self.encodes and not self.tokenizer.chat_template:
            line, end, _ = text.lstrip().partition("\n")
            if end:
                return Choice(line, written), count
        return Choice(text, written, "" if finished else CUT), count

    def _written(self, tokens: list[int], logs: list[float]) -> Tokens:
        """What each token adds to the text; a character of several tokens comes with its last."""
        pieces, before = [], ""
        for count, log in enumerate(logs[: len(tokens)], 1):
            text = self._decode(tokens[:count])
            whole = text if count == len(tokens) else text.rstrip("\ufffd")
            pieces.append((whole[len(before) :], log))
            before = whole if len(whole) > len(before) else before
        return tuple(pieces)

    def _decode(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def _load(model: str, revision: str | None) -> _Loaded:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "gsr.rewriter is 'transformers', which needs PyTorch; install it with "
            "pip install 'reex_jax[torch]'"
        ) from error
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(model, revision=revision)
        encodes = bool(config.is_encoder_decoder)
        kind = transformers.AutoModelForSeq2SeqLM if encodes else transformers.AutoModelForCausalLM
        network = kind.from_pretrained(model, revision=revision).eval()
        # Decoders go on from the last token, so padding stands before the prompt.
        side = "right" if encodes else "left"
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            model, revision=revision, padding_side=side
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"gsr.model {model!r} cannot be loaded ({str(error).splitlines()[0]}); name a folder "
            "or hub id of a causal or sequence-to-sequence language model"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return _Loaded(torch, network.to(device), tokenizer, encodes)
