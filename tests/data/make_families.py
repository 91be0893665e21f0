"""Writes tests/data/families/: tiny models of each family, and what PyTorch computes with them.

    python3.11 -m venv torchvenv
    torchvenv/bin/pip install torch==2.13.0 transformers==5.23.0 sentencepiece protobuf pillow
    torchvenv/bin/pip install --no-deps open_clip_torch==3.3.0 ftfy regex wcwidth
    torchvenv/bin/python tests/data/make_families.py

The weights are random, drawn so that a wrong activation, padding, pooling or order of LayerNorms
moves the embeddings by far more than the tests allow. A folder holds a checkpoint in its family's
layout, and `reference.npz`: `pixels` [n, h, w, 3], `ids` [n, length], the unit embeddings `images`
and `texts`; `image_grad/NAME` and `text_grad/NAME`: the gradient of sum(embeddings * weights) by
each scale and bias of a LayerNorm, under the checkpoint's names; `image_weights` and `text_weights`
are those weights. All float32, but for the ids. `picture` [h, w, 3] uint8 and `picture_pixels` are
what the family's own image processor makes of a picture; `captions.json` holds captions and the ids
that its own tokenizer makes of them.

open_clip imports torchvision, which does not import beside the CPU build of torch 2.13; only
preprocessing and other towers need it, so empty stand-ins take the place of it and of timm.
"""

import importlib.abc
import json
import shutil
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import normalize
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    CLIPTokenizer,
    SiglipConfig,
    SiglipModel,
    SiglipTokenizer,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

HERE = Path(__file__).parent / "families"
COUNT = 4
# Real models have "nmt_nfkc", whose table alone is 240 kB.
RULE = sys.argv[1] if len(sys.argv) > 1 else "identity"
# None begins with white space: transformers' SiglipTokenizer gives such a caption a token for it,
# which the model never saw (big_vision strips captions, as we do).
CAPTIONS = [
    "a photo of a cat",
    "Two RED dogs, running -- on the beach!",
    "a   naïve_café;\t3 apples ",
    "x",
    "the cat and the dog and the bird and the apple and the beach and the red photo of a cat",
    "snow ☃ and 日本",
]

TOWER = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
NARROW = {"hidden_size": 12, "intermediate_size": 20, "num_attention_heads": 3}

SIGLIP = {
    # SigLIP 1: the vocabulary of SentencePiece pads with its end token, id 1.
    "siglip": {
        "vision_config": TOWER | {"num_hidden_layers": 2, "image_size": 24, "patch_size": 8},
        "text_config": TOWER
        | {"vocab_size": 90, "num_hidden_layers": 2, "max_position_embeddings": 16},
    },
    # SigLIP 2's largest: other widths of the towers, a margin at the edge; exact GELU.
    "siglip2": {
        "vision_config": TOWER
        | {"num_hidden_layers": 1, "image_size": 20, "patch_size": 6, "hidden_act": "gelu"},
        "text_config": NARROW
        | {
            "vocab_size": 320,
            "num_hidden_layers": 3,
            "max_position_embeddings": 64,
            "projection_size": 16,
            "hidden_act": "gelu",
        },
    },
}
BLIP = {
    "blip": {
        "image_text_hidden_size": 20,
        "vision_config": TOWER | {"num_hidden_layers": 2, "image_size": 24, "patch_size": 8},
        "text_config": NARROW
        | {"vocab_size": 80, "num_hidden_layers": 2, "max_position_embeddings": 40},
    },
    "blip_odd": {
        "image_text_hidden_size": 12,
        "vision_config": NARROW
        | {
            "num_hidden_layers": 1,
            "image_size": 20,
            "patch_size": 6,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-3,
        },
        "text_config": TOWER
        | {
            "vocab_size": 80,
            "num_hidden_layers": 3,
            "max_position_embeddings": 20,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-3,
        },
    },
}
OPEN_CLIP = {
    "open_clip": {
        "embed_dim": 20,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 24,
            "layers": 2,
            "width": 16,
            "head_width": 8,
            "patch_size": 8,
        },
        "text_cfg": {"context_length": 16, "vocab_size": 514, "width": 12, "heads": 3, "layers": 2},
    },
    # The text tower apart, another ratio and epsilon, pooling at a named end token, plain GELU.
    "open_clip_custom": {
        "embed_dim": 12,
        "custom_text": True,
        "nonscalar_logit_scale": True,
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": 20,
            "layers": 1,
            "width": 16,
            "head_width": 8,
            "mlp_ratio": 1.75,
            "patch_size": 6,
            "norm_kwargs": {"eps": 1e-3},
        },
        "text_cfg": {
            "context_length": 20,
            "vocab_size": 100,
            "width": 16,
            "heads": 4,
            "layers": 3,
            "mlp_ratio": 1.5,
            "pool_type": "eos",
            "eos_id": 7,
            "norm_kwargs": {"eps": 1e-3},
        },
    },
}


def main() -> None:
    """Writes every folder anew."""
    shutil.rmtree(HERE, ignore_errors=True)
    for seed, (name, settings) in enumerate(SIGLIP.items()):
        config = SiglipConfig(**settings)
        write(name, randomised(SiglipModel(config), seed), fixed_ids(config.text_config, seed))
    for seed, (name, settings) in enumerate(BLIP.items()):
        config = BlipConfig(**settings)
        model = randomised(BlipForImageTextRetrieval(config), seed)
        write(name, model, padded_ids(config.text_config, seed))
    for seed, (name, settings) in enumerate(OPEN_CLIP.items()):
        write_open_clip(name, settings, seed)
    write_sentencepiece(HERE / "siglip")
    write_gemma(HERE / "siglip2")
    write_bert(HERE / "blip")
    write_clip(HERE / "open_clip")


def randomised(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """All parameters drawn anew, large enough that every part of the model is seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            draws = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim < 2:
                is_scale = "norm" in name.lower() or "ln_" in name
                base = 1.0 if is_scale and name.endswith("weight") else 0.0
                parameter.copy_(base + 0.2 * draws)
            else:
                parameter.copy_(draws * 1.5 / parameter.shape[-1] ** 0.5)
        for name, value in (("logit_scale", 3.0), ("logit_bias", -8.0)):
            if getattr(model, name, None) is not None:
                getattr(model, name).fill_(value)
    return model.eval()


def fixed_ids(config, seed: int) -> np.ndarray:
    """SigLIP's: text, end token (1), padding (1 as in SigLIP 1) up to the only length."""
    rng = np.random.default_rng(seed)
    ids = np.ones((COUNT, config.max_position_embeddings), np.int64)
    for row, length in zip(ids, (2, 5, 9, config.max_position_embeddings - 1), strict=True):
        row[:length] = rng.integers(3, config.vocab_size, length)
    return ids


def padded_ids(config, seed: int) -> np.ndarray:
    """BERT's: 2, text, 3, then padding (0)."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((COUNT, 14), np.int64)
    for row, length in zip(ids, (3, 6, 10, 14), strict=True):
        row[:length] = [2, *rng.integers(4, config.vocab_size, length - 2), 3]
    return ids


def end_token_ids(text: dict, seed: int) -> np.ndarray:
    """CLIP's: text, end token (the largest id, or eos_id), padding (0)."""
    rng = np.random.default_rng(seed)
    by_name = text.get("pool_type") == "eos"
    end = text["eos_id"] if by_name else text["vocab_size"] - 1
    ids = np.zeros((COUNT, text["context_length"]), np.int64)
    for row, length in zip(ids, (3, 6, 10, text["context_length"]), strict=True):
        row[:length] = [*rng.integers(8, text["vocab_size"] - 1, length - 1), end]
    return ids


def write(name: str, model: torch.nn.Module, ids: np.ndarray) -> None:
    """A folder in Hugging Face's layout."""
    folder = HERE / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    side = model.config.vision_config.image_size
    if isinstance(model, SiglipModel):
        embed_image = lambda x: model.get_image_features(x).pooler_output  # noqa: E731
        embed_text = lambda x: model.get_text_features(x).pooler_output  # noqa: E731
    else:
        embed_image = lambda x: blip_images(model, x)  # noqa: E731
        embed_text = lambda x: blip_texts(model, x)  # noqa: E731
    save_reference(folder, model, embed_image, embed_text, side, ids)


def blip_images(model, pixels):
    """As BlipForImageTextRetrieval.forward does it without the matching head."""
    return model.vision_proj(model.vision_model(pixel_values=pixels).last_hidden_state[:, 0])


def blip_texts(model, ids):
    mask = (ids != 0).long()
    hidden = model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return model.text_proj(hidden[:, 0])


def write_open_clip(name: str, settings: dict, seed: int) -> None:
    """A folder in open_clip's layout."""
    sys.meta_path.insert(0, StandIns())
    from open_clip.model import CLIP, CustomTextCLIP

    folder = HERE / name
    folder.mkdir(parents=True)
    arguments = dict(settings)
    kind = CustomTextCLIP if arguments.pop("custom_text", False) else CLIP
    model = randomised(kind(**arguments), seed)
    config = {
        "model_cfg": settings,
        "preprocess_cfg": {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic",
            "resize_mode": "shortest" if seed == 0 else "squash",
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    side = settings["vision_cfg"]["image_size"]
    ids = end_token_ids(settings["text_cfg"], seed)
    save_reference(folder, model, model.encode_image, model.encode_text, side, ids)


def write_sentencepiece(folder: Path) -> None:
    """SigLIP 1's tokenizer and image processor."""
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(CAPTIONS[:5] * 20).lower())
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "spiece"),
        vocab_size=64,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        normalization_rule_name=RULE,
        num_threads=1,
    )
    for name in ("corpus.txt", "spiece.vocab"):
        (folder / name).unlink()
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"), model_max_length=16)
    tokenizer.save_pretrained(folder)
    write_captions(
        folder, tokenizer(CAPTIONS, padding="max_length", truncation=True, max_length=16)
    )
    write_pixels(folder, SiglipImageProcessorPil(size={"height": 24, "width": 24}))


def write_gemma(folder: Path) -> None:
    """SigLIP 2's tokenizer, as the released files have it, and image processor (bilinear)."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = sorted(
        {c for text in CAPTIONS[:5] for c in text.lower() if c.isascii() and c.strip()}
    )
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    pairs = [("a", "t"), ("c", "at"), ("▁", "a"), ("o", "g"), ("d", "og"), ("h", "e"), ("t", "he")]
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*tokens, *map("".join, pairs)]))}
    tokenizer = Siglip2Tokenizer(
        vocab=vocab, merges=pairs, add_bos_token=False, add_eos_token=True, padding_side="right"
    )
    tokenizer.save_pretrained(folder)
    write_captions(
        folder, tokenizer(CAPTIONS, padding="max_length", truncation=True, max_length=64)
    )
    processor = SiglipImageProcessorPil(size={"height": 20, "width": 20}, resample=2)
    write_pixels(folder, processor)


def write_bert(folder: Path) -> None:
    """BLIP's tokenizer, cut at the 35 tokens of its retrieval, and image processor."""
    words = "a photo of cat dog ##s red two running on the beach and bird apple"
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words.split(), *letters, *"3,.;!-_"]
    tokens += [f"##{c}" for c in letters if f"##{c}" not in tokens]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = BertTokenizer(vocab=vocab)
    tokenizer.save_pretrained(folder)
    write_captions(
        folder, tokenizer(CAPTIONS, padding="max_length", truncation=True, max_length=35)
    )
    write_pixels(folder, BlipImageProcessorPil(size={"height": 24, "width": 24}))


def write_clip(folder: Path) -> None:
    """OpenCLIP's tokenizer: that of CLIP, without merges."""
    characters = sorted(bytes_to_unicode().values())
    tokens = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[])
    tokenizer.save_pretrained(folder)
    found = tokenizer(CAPTIONS, padding="max_length", truncation=True, max_length=16)
    write_captions(folder, found)


def bytes_to_unicode() -> dict[int, str]:
    """The characters that stand for bytes in CLIP's vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def write_captions(folder: Path, encoded) -> None:
    """The captions and their ids."""
    content = {"captions": CAPTIONS, "ids": [list(map(int, row)) for row in encoded["input_ids"]]}
    (folder / "captions.json").write_text(json.dumps(content) + "\n")


def write_pixels(folder: Path, processor) -> None:
    """A picture and its pixels, added to the reference."""
    processor.save_pretrained(folder)
    picture = np.random.default_rng(3).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    pixels = np.asarray(processor(Image.fromarray(picture))["pixel_values"][0], np.float32)
    with np.load(folder / "reference.npz") as file:
        found = dict(file)
    found |= {"picture": picture, "picture_pixels": pixels.transpose(1, 2, 0)}
    np.savez_compressed(folder / "reference.npz", **found)


def save_reference(folder, model, embed_image, embed_text, side: int, ids: np.ndarray) -> None:
    """Embeddings and gradients, see the top."""
    rng = np.random.default_rng(11)
    pixels = rng.standard_normal((COUNT, side, side, 3)).astype(np.float32)
    found: dict[str, np.ndarray] = {"pixels": pixels, "ids": ids.astype(np.int32)}
    inputs = {
        "image": (embed_image, torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())),
        "text": (embed_text, torch.from_numpy(ids)),
    }
    for query, (embed, values) in inputs.items():
        model.zero_grad()
        embeddings = normalize(embed(values), dim=-1)
        weights = rng.standard_normal(embeddings.shape).astype(np.float32)
        (embeddings * torch.from_numpy(weights)).sum().backward()
        found[f"{query}s"] = embeddings.detach().numpy()
        found[f"{query}_weights"] = weights
        for name, parameter in model.named_parameters():
            is_norm = "norm" in name.lower() or ".ln_" in name or name.startswith("ln_")
            if is_norm and parameter.grad is not None and parameter.grad.any():
                found[f"{query}_grad/{name}"] = parameter.grad.numpy().copy()
    np.savez_compressed(folder / "reference.npz", **found)
    print(folder.name, sum(file.stat().st_size for file in folder.iterdir()) // 1000, "kB")


class Named(type):
    """Classes that give a string for every name, as an enumeration's values."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class StandIn(types.ModuleType):
    """A module that gives an empty class for every name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Named(name, (), {})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds torchvision and timm, which open_clip imports and CLIP's own towers never use."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torchvision", "timm"):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


if __name__ == "__main__":
    main()
