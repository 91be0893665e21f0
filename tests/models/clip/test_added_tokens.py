"""Tokenizers to which tokens were added: transformers' ids, or a refusal."""

import itertools
import json
import shutil
from pathlib import Path

import pytest

import reex_jax.models.clip as package
from reex_jax.errors import UserError
from reex_jax.models.clip.tokenizer import Tokenizer

BUNDLED = Path(package.__path__[0]) / "bundled"
TEXTS = (
    "a <cat-toy> above a star",
    "a<cat-toy>b",
    "A <Cat-Toy>s  <CAT-TOY> x",
    "SKS dog sks dogsks",
    "  lone <cat-toy>  ",
    "é<cat-toy>e\u0301",
    "<mask> and [SEP] <tok2>",
    "<|endoftext|> x <cat-toy>",
)
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")
MIXED = [dict.fromkeys(FLAGS, False), *({flag: flag == one for flag in FLAGS} for one in FLAGS)]


def copied(folder, *names):
    for name in ("vocab.json", "merges.txt", *names):
        shutil.copy(BUNDLED / name, folder / name)
    return len(json.loads((folder / "vocab.json").read_text()))


def write(folder, name, content):
    (folder / name).write_text(json.dumps(content))


def saved(folder, flags, special):
    """As transformers saves it: one tokenizer.json."""
    from transformers import AddedToken, CLIPTokenizer

    theirs = CLIPTokenizer.from_pretrained(BUNDLED)
    theirs.add_tokens(
        [AddedToken("<cat-toy>", special=special, **flags), AddedToken("sks", **flags)],
        special_tokens=special,
    )
    theirs.save_pretrained(folder)


def legacy(folder, flags, special):
    """As transformers saved it before 2023: added_tokens.json."""
    size = copied(folder, "tokenizer_config.json")
    write(folder, "added_tokens.json", {"<cat-toy>": size, "sks": size + 1})
    lists = {"additional_special_tokens": ["<cat-toy>"] if special else []}
    start = {"bos_token": {"content": "<|startoftext|>", **flags}, "eos_token": "<|endoftext|>"}
    write(folder, "special_tokens_map.json", start | lists)


def decoder(folder, flags, special):
    """As transformers saved it from 2023 on: all in tokenizer_config.json."""
    size = copied(folder, "tokenizer_config.json")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["added_tokens_decoder"] = {
        str(size + special): {"content": "<cat-toy>", "special": special, **flags},
        str(size + 1 - special): {"content": "sks", **flags},
    }
    settings |= {"mask_token": "<mask>", "additional_special_tokens": ["<tok2>"]}
    write(folder, "tokenizer_config.json", settings)


@pytest.mark.parametrize("layout", [saved, legacy, decoder])
def test_ids_equal_hugging_faces(tmp_path, layout):
    from transformers import CLIPTokenizer

    for number, (flags, special) in enumerate(itertools.product(MIXED, (False, True))):
        folder = tmp_path / str(number)
        folder.mkdir()
        layout(folder, flags, special)
        ours = Tokenizer.load(folder, max_length=77)
        assert ours.encode(TEXTS)[0] == CLIPTokenizer.from_pretrained(folder)(TEXTS).input_ids
        added = ours.encode(["<cat-toy>"])[0][0]
        assert len(added) == 3 and ours.largest_id >= added[1] > max(ours.start_id, ours.end_id)


def test_an_id_that_is_not_the_next_one_is_refused(tmp_path):
    size = copied(tmp_path, "tokenizer_config.json")
    write(tmp_path, "added_tokens.json", {"<cat-toy>": size + 5})
    message = f"'<cat-toy>' has id {size + 5} in the files, but becomes {size} when"
    with pytest.raises(UserError, match=message):
        Tokenizer.load(tmp_path, max_length=77)


def test_a_text_of_any_length_is_refused_before_it_fills_the_memory():
    tokenizer = Tokenizer.load(BUNDLED)
    with pytest.raises(UserError, match="caption 1 has 10000000 characters; shorten it to 200000"):
        tokenizer(["a dog", "x" * 10_000_000])
