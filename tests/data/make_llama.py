"""Writes tests/data/llama/: a tiny causal language model, and how PyTorch reads lists with it.

    torchvenv/bin/pip install -e . torch==2.14.1 transformers==5.24.0
    torchvenv/bin/python tests/data/make_llama.py

The weights are random, and large enough for a wrong rotation, mask or grouping of heads to move log
probabilities by far more than the tests allow. `scores.json` holds lists of sentences and what
`LocalScorer` gives them.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reex_jax.gsr.channel.local_scorer import LocalScorer

FOLDER = Path(__file__).parent / "llama"
LISTS = [
    ["a red cat sat on the mat", "a red hat sat on the mat", "a bed cat sat on the mat"],
    ["two dogs", "two dogs run", "too dogs run far"],
    ["the caf\u00e9 of 1999, isn't it?", "the cave of 1999, isn't it?"],
    ["same", "same"],
    [
        "a dog with a big red ball runs over the green grass of a park near the old house " * 4
        + end
        for end in ("today", "to day")
    ],
]


def main() -> None:
    """Writes the folder."""
    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=288, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    engine.train_from_iterator([text for texts in LISTS for text in texts], trainer)
    PreTrainedTokenizerFast(tokenizer_object=engine).save_pretrained(FOLDER)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=288,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_theta=500.0,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.save_pretrained(FOLDER)
    scores = [list(found.values) for found in LocalScorer(str(FOLDER)).score(LISTS)]
    for spare in ("generation_config.json", "tokenizer_config.json"):
        (FOLDER / spare).unlink()
    text = json.dumps({"lists": LISTS, "scores": scores}, indent=1)
    (FOLDER / "scores.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
