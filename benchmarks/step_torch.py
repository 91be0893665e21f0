"""The same update step in plain PyTorch, for `benchmarks.step`; needs torch and transformers.

Hugging Face's CLIP with random weights and PyTorch's own attention; LayerNorms adapt by AdamW. Each
method is written as its formula reads, over the whole gallery where it needs that. ReEx's step has
the parts that cost something (calibrated scores, plausible sets, exclusion, uniformity); what only
decides (resets, guards) is left out, which favours PyTorch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import CLIPConfig, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

TEMPERATURE = 0.01
K = 20


class TorchStep:
    """One method on one tower."""

    def __init__(
        self,
        shape: dict[str, Any],
        query: str,
        method: str,
        gallery: np.ndarray,
        *,
        steps: int,
        compiled: bool,
        half: bool,
    ) -> None:
        """`shape` is config.json's; `compiled` runs the tower through `torch.compile`.

        `half` takes bfloat16 products on GPUs.
        """
        torch.manual_seed(0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        config = CLIPConfig.from_dict(shape)
        kinds = {"image": CLIPVisionModelWithProjection, "text": CLIPTextModelWithProjection}
        part = config.vision_config if query == "image" else config.text_config
        part.projection_dim = config.projection_dim
        part._attn_implementation = "sdpa"
        self.tower = kinds[query](part).to(self.device).eval().requires_grad_(False)
        self.norms = []
        for module in self.tower.modules():
            if isinstance(module, torch.nn.LayerNorm):
                self.norms += [one.requires_grad_(True) for one in module.parameters()]
        self.optimizer = torch.optim.AdamW(self.norms, lr=3e-4, weight_decay=1e-4)
        self.gallery = torch.from_numpy(gallery).to(self.device)
        self.hubs = torch.zeros(len(gallery), device=self.device)
        self.query, self.method, self.steps = query, method, steps
        self.half = half and self.device == "cuda"
        self.run: Callable[..., Any] = self.tower
        if compiled:
            # It counts programs by class and silently runs without them beyond a limit.
            torch._dynamo.reset()
            self.run = torch.compile(self.tower)

    def __call__(self, inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Adapts to a batch, then ranks its right answers: [B, R]."""
        x = torch.from_numpy(inputs).to(self.device)
        if self.query == "image":
            x = x.permute(0, 3, 1, 2).contiguous().float() / 255  # bytes travel
        if self.method == "none":
            with torch.no_grad(), self._precision():
                z = self._embed(x)
        else:
            for _ in range(self.steps):
                with self._precision():
                    z = self._embed(x)
                loss = {"tent": self._tent, "tcr": self._tcr, "reex": self._reex}[self.method](z)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
        with torch.no_grad():
            scores = z.detach().float() @ self.gallery.T
            right = torch.from_numpy(answers.astype(np.int64)).to(self.device)
            own = scores.gather(1, right)
            return (scores[:, None] > own[:, :, None]).sum(dim=2).cpu().numpy()

    def _precision(self) -> Any:
        """bfloat16 products on GPUs, as ours."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.half)

    def _embed(self, x: torch.Tensor) -> torch.Tensor:
        if self.query == "image":
            found = self.run(pixel_values=x).image_embeds
        else:
            found = self.run(input_ids=x).text_embeds
        return torch.nn.functional.normalize(found.float(), dim=1)

    def _tent(self, z: torch.Tensor) -> torch.Tensor:
        return _entropy(z @ self.gallery.T / TEMPERATURE).mean()

    def _tcr(self, z: torch.Tensor) -> torch.Tensor:
        items = self.gallery[(z.detach() @ self.gallery.T).argmax(dim=1)]
        entropies = _entropy(z @ items.T / (2 * TEMPERATURE))
        bound = entropies.detach().max()
        weights = (1 - entropies.detach() / (bound + 1e-3)).clamp(min=0)
        gap = (z.mean(dim=0) - items.mean(dim=0)).norm()
        return (weights * entropies).mean() + _uniformity(z) + gap**2

    def _reex(self, z: torch.Tensor) -> torch.Tensor:
        tau = 2 * TEMPERATURE
        with torch.no_grad():
            cosines = z @ self.gallery.T
            self.hubs = torch.logaddexp(self.hubs, torch.logsumexp(cosines / tau, dim=0))
            correction = tau * (self.hubs - self.hubs.mean())
            scores = cosines - correction
            plausible = scores.topk(min(K, scores.shape[1]), dim=1).indices
            items = plausible[:, 0]
            excluded = ~(plausible[:, :, None] == items[None, None]).any(dim=1)
        logits = (z @ self.gallery[items].T - correction[items]) / tau
        kept = torch.logsumexp(logits.masked_fill(excluded, -torch.inf), dim=1)
        return (torch.logsumexp(logits, dim=1) - kept).mean() + _uniformity(z)


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    logs = torch.log_softmax(logits, dim=1)
    return -(logs.exp() * logs).sum(dim=1)


def _uniformity(z: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.1 * (z - z.mean(dim=0)).norm(dim=1)).mean()
