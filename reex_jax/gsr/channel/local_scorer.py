"""Log probabilities of sentences from a causal model in the transformers format, in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reex_jax.errors import UserError
from reex_jax.gsr.channel.completions import differing_parts
from reex_jax.gsr.channel.rescore import LEAD, Scores
from reex_jax.gsr.local_model import check_pinned, pinned_name


@dataclass(frozen=True, eq=False)
class LocalScorer:
    """Reads with PyTorch, on the GPU where there is one.

    Attributes:
        model: a folder or hub id of a causal language model.
        revision: of the hub id; "" for its main one.
        batch_size: sentences read at the same time.

    Raises:
        UserError: a hub id without revision, so that nobody would know what filled the cache.
    """

    model: str
    revision: str = ""
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Checks that the model is pinned."""
        check_pinned(self.model, self.revision)

    @cached_property
    def identity(self) -> str:
        """Model and lead; a folder is known by its files, not its name."""
        return f"transformers model={pinned_name(self.model, self.revision)} lead={LEAD!r}"

    def score(self, lists: Sequence[Sequence[str]]) -> Iterator[Scores]:
        """For each list its sentences' log probabilities, apart from what they share."""
        parts = [differing_parts(sentences) for sentences in lists]
        flat = [(before, rest) for before, rests in parts for rest in rests]
        # Sentences of like length together, so that little is padded.
        order = sorted(range(len(flat)), key=lambda at: len(flat[at][0] + flat[at][1]))
        found = [0.0] * len(flat)
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            for place, value in zip(places, self._read([flat[p] for p in places]), strict=True):
                found[place] = value
        scores = iter(found)
        for sentences in lists:
            yield Scores([next(scores) for _ in sentences])

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Any]:
        try:
            import torch
        except ImportError as error:
            raise UserError(
                "gsr.scorer is 'transformers', which needs PyTorch; install it with "
                "pip install 'reex_jax[torch]'"
            ) from error
        import transformers

        revision = self.revision or None
        try:
            network = transformers.AutoModelForCausalLM.from_pretrained(
                self.model, revision=revision
            ).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.model, revision=revision)
        except (OSError, ValueError) as error:
            raise UserError(
                f"gsr.model {self.model!r} cannot be loaded ({str(error).splitlines()[0]}); name "
                "a folder or hub id of a causal language model"
            ) from error
        return torch, network.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        torch, network, tokenizer = self._loaded
        rows, starts = [], []
        for before, rest in pairs:
            head = tokenizer(before, add_special_tokens=False)["input_ids"]
            tail = tokenizer(rest, add_special_tokens=False)["input_ids"]
            starts.append(len(head))
            rows.append(head + tail)
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.tensor(row)
            mask[at, : len(row)] = 1
        ids, mask = ids.to(network.device), mask.to(network.device)
        with torch.inference_mode():
            logits = network(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
            logs = torch.log_softmax(logits, dim=-1).gather(2, ids[:, 1:, None])[..., 0]
        return [
            float(logs[at, start - 1 : len(row) - 1].sum())
            for at, (row, start) in enumerate(zip(rows, starts, strict=True))
        ]
