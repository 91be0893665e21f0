"""Files that others wrote, with any JSON in them: read, or refused by an error of our own."""

import copy
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import reex_jax.models.clip as package
from reex_jax.datasets.captions_file import read_captions
from reex_jax.datasets.folder import load_folder
from reex_jax.datasets.karpathy import load_karpathy
from reex_jax.datasets.karpathy_file import read_karpathy
from reex_jax.errors import UserError
from reex_jax.models.clip.config import ClipConfig, read_config
from reex_jax.models.clip.tokenizer import Tokenizer
from reex_jax.models.folders import weight_files
from reex_jax.models.load import model_type
from reex_jax.models.preprocess import read_preprocessing

BUNDLED = Path(package.__path__[0]) / "bundled"
SOUND = {name: json.loads((BUNDLED / name).read_text()) for name in (
    "config.json", "preprocessor_config.json", "tokenizer_config.json")}  # fmt: skip
WORDS = st.sampled_from(
    [
        "image",
        "caption",
        "images",
        "annotations",
        "sentences",
        "raw",
        "filename",
        "split",
        "id",
        "image_id",
        "file_name",
        "test",
        "a.png",
        "a\\b.png",
        "../a",
        "content",
        "model",
        "vocab",
        "merges",
        "added_tokens",
        "weight_map",
        "text_config",
        "model_type",
        "clip",
        "size",
        "�",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 10**400, 0.5, 1e308, float("nan"), float("inf")])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        key: VALUES for key in ("image", "caption", "id", "image_id", "file_name", "filename")
    }
    | {key: VALUES for key in ("sentences", "split", "filepath")},
)
FILES = st.one_of(
    VALUES,
    st.lists(RECORDS, max_size=4),
    st.fixed_dictionaries({"images": VALUES | st.lists(RECORDS, max_size=3)},
                          optional={"annotations": VALUES | st.lists(RECORDS, max_size=3)}),
)  # fmt: skip


def bounded(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def allowed(read, *arguments, **options):
    """Calls it; any error but a UserError with a printable message fails the test."""
    try:
        read(*arguments, **options)
    except UserError as error:
        assert str(error) and "\x1b" not in str(error)
        str(error).encode()


def put(folder, name, content):
    (folder / name).write_text(json.dumps(content))
    return folder / name


def hostile_captions(folder, content):
    put(folder, "captions.json", content)
    lines = content if isinstance(content, list) else [content]
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in ("captions.json", "lines.jsonl"):
        allowed(read_captions, folder / name)
        for on_error in ("raise", "skip"):
            allowed(load_folder, folder, name, on_error)
    allowed(read_karpathy, folder / "captions.json", "test")
    allowed(load_karpathy, folder, captions_file="captions.json", on_error="skip")


def changed(sound, path, value):
    """A copy with the value at the place that the numbers of `path` lead to."""
    content = copy.deepcopy(sound)
    inner = content
    for step in path:
        key = sorted(inner)[step % len(inner)]
        if not isinstance(inner[key], dict) or not inner[key] or step == path[-1]:
            inner[key] = value
            break
        inner = inner[key]
    return content


def hostile_checkpoint(folder, name, path, value):
    config = ClipConfig()
    for content in (value, changed(SOUND.get(name, {"model": {}}), path, value)):
        put(folder, name, content)
        allowed(read_config, folder)
        allowed(model_type, folder)
        allowed(read_preprocessing, folder, config.vision.image_size)
        allowed(Tokenizer.load, folder, max_length=77)
        allowed(weight_files, folder)
    if name in SOUND:
        put(folder, name, SOUND[name])
    else:
        (folder / name).unlink()


OTHERS = [
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "processor_config.json",
    "model.safetensors.index.json",
]
NAMES = st.sampled_from([*SOUND, *OTHERS])
PATHS = st.lists(st.integers(0, 30), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    for name in (*SOUND, "merges.txt"):
        shutil.copy(BUNDLED / name, folder / name)
    vocabulary = {"a": 0, "a</w>": 1, "aa</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4}
    put(folder, "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\na a</w>\n")
    return folder


@bounded(60)
@given(content=FILES)
def test_captions(data, content):
    hostile_captions(data, content)


@bounded(60)
@given(name=NAMES, path=PATHS, value=VALUES)
def test_checkpoints(checkpoint, name, path, value):
    hostile_checkpoint(checkpoint, name, path, value)


@pytest.mark.slow
@bounded(1500)
@given(content=FILES)
def test_many_captions(data, content):
    hostile_captions(data, content)


@pytest.mark.slow
@bounded(1500)
@given(name=NAMES, path=PATHS, value=VALUES)
def test_many_checkpoints(checkpoint, name, path, value):
    hostile_checkpoint(checkpoint, name, path, value)


@pytest.mark.parametrize(
    "text", ["[" * 3000 + "]" * 3000, '{"a":' * 3000, "9" * 5000, "\x00", "﻿{}"]
)
def test_other_texts(data, checkpoint, text):
    for name in ("captions.json", "captions.jsonl", "captions.csv"):
        (data / name).write_text(text)
        allowed(load_folder, data, name, "skip")
        allowed(load_karpathy, data, captions_file=name, on_error="skip")
        (data / name).unlink()
    names = [*SOUND, "tokenizer.json", "model.safetensors.index.json", "vocab.json"]
    before = {n: (checkpoint / n).read_text() for n in names if (checkpoint / n).is_file()}
    for name in names:
        (checkpoint / name).write_text(text)
        for read in (read_config, model_type, weight_files):
            allowed(read, checkpoint)
        allowed(read_preprocessing, checkpoint, ClipConfig().vision.image_size)
        allowed(Tokenizer.load, checkpoint, max_length=77)
        (checkpoint / name).unlink()
        if name in before:
            (checkpoint / name).write_text(before[name])
