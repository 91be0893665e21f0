"""Trains the small byte-pair vocabulary of the bundled model, in CLIP's own file format.

The scenes' words are few, so almost each becomes one token; general English words are added
so that a mistyped word still breaks into sensible pieces, as it does with OpenAI's vocabulary.
"""

import importlib.resources
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from reex_jax.datasets import scenes

START, END = "<|startoftext|>", "<|endoftext|>"
_ENGLISH = ("symspellpy", "frequency_dictionary_en_82_765.txt")


def english_words(count: int) -> list[str]:
    """The `count` most frequent English words, from symspellpy's dictionary (MIT)."""
    package, name = _ENGLISH
    lines = importlib.resources.files(package).joinpath(name).read_text("utf-8-sig").splitlines()
    return [line.split(" ")[0] for line in lines[:count]]


def training_texts(num_scenes: int, num_words: int, seed: int) -> Iterator[str]:
    """Captions of the training scenes, then English words, the more frequent ones more often."""
    for index in range(num_scenes):
        yield from (c.lower() for c in scenes.caption_set("train", seed, index))
    for rank, word in enumerate(english_words(num_words)):
        for _ in range(1 + 2 * num_words // (rank + 200)):
            yield word


def train_merges(texts: Iterable[str], num_merges: int) -> list[tuple[str, str]]:
    """Byte-pair merges in the order in which they were learnt (Sennrich et al., 2016)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + num_merges,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(pair) for pair in merges[:num_merges]]


def write_vocabulary(folder: Path, merges: list[tuple[str, str]], max_length: int) -> None:
    """Writes vocab.json, merges.txt and tokenizer_config.json as CLIP checkpoints have them.

    The ids are: 256 bytes, the same with the end-of-word mark, the merges, start, end.
    """
    # CLIP's byte order is that of the printable characters first, as in GPT-2.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    entries = [*letters, *(c + "</w>" for c in letters), *("".join(m) for m in merges), START, END]
    vocabulary = {entry: i for i, entry in enumerate(dict.fromkeys(entries))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(" ".join(m) for m in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), "utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
