"""load_clip and Clip on a tiny random checkpoint with a vocabulary of single bytes."""

import dataclasses
import json
import logging
import subprocess
import sys
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from tokenizers.pre_tokenizers import ByteLevel

import reex_jax
from reex_jax import Clip, load_clip
from reex_jax.errors import UserError
from reex_jax.models import loaded
from reex_jax.models.batches import padded_rows
from reex_jax.models.clip import api
from reex_jax.models.clip.checkpoint import save_model
from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.preprocess import preprocess_image

BYTES = sorted(ByteLevel.alphabet())
VOCAB = {
    token: i
    for i, token in enumerate(
        [*BYTES, *(b + "</w>" for b in BYTES), "<|startoftext|>", "<|endoftext|>"]
    )
}
START, END = 512, 513
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
         "num_attention_heads": 2}  # fmt: skip
CONFIG = ClipConfig(
    vision=VisionConfig(image_size=24, patch_size=8, **TOWER),
    text=TextConfig(
        vocab_size=514, max_position_embeddings=20, bos_token_id=START, eos_token_id=END, **TOWER
    ),
    projection_dim=12,
    logit_scale_init_value=3.0,
)
CAPTIONS = ["a cat", "dogs", "Two red dogs", "x", "a long tail, a b c d e f", "a cat"]


def random_model(config):
    """A model with random weights, filled in by NumPy: its own start compiles for seconds."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: ClipModel(config, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(3)
    state = jax.tree.map(lambda x: jnp.asarray(rng.normal(0, 0.3, x.shape), x.dtype), shapes)
    model = nnx.merge(graph, state)
    model.logit_scale.set_value(jnp.float32(config.logit_scale_init_value))
    return model


def write_checkpoint(folder, config=CONFIG, vocab=VOCAB):
    model = random_model(config)
    save_model(model, folder)
    if vocab:
        (folder / "vocab.json").write_text(json.dumps(vocab))
        (folder / "merges.txt").write_text("#version: 0.2\n")
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    return folder, write_checkpoint(folder)


@pytest.fixture(scope="module")
def clip(checkpoint):
    return load_clip(checkpoint[0], batch_size=4)


def pictures(count):
    rng = np.random.default_rng(1)
    return [
        Image.fromarray(rng.integers(0, 256, (*rng.integers(20, 60, 2), 3), np.uint8))
        for _ in range(count)
    ]


def ids_of(text, length=16):
    """Token ids by hand: each word is its bytes, the last of them ending the word."""
    ids = [START]
    for word in text.lower().replace(",", " ,").split():
        ids += [VOCAB[c] for c in word[:-1]] + [VOCAB[word[-1] + "</w>"]]
    return [*ids, *[END] * (length - len(ids))]


def test_images_go_through_preprocessing_and_the_model(clip, checkpoint):
    images = pictures(7)  # a full batch of 4 and a ragged one of 3
    pixels = np.stack([preprocess_image(image, clip.preprocessing) for image in images])
    expected = np.asarray(nnx.jit(ClipModel.encode_pixels)(checkpoint[1], jnp.asarray(pixels)))
    for result in (
        clip.encode_images(images),
        clip.encode_images(image for image in images),
        clip.encode_pixels(pixels),
        clip.encode_pixels(jnp.asarray(pixels)),
    ):
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == ((7, 12), np.float32)
        np.testing.assert_allclose(result, expected, atol=2e-6)
        np.testing.assert_allclose(np.linalg.norm(result, axis=1), 1, atol=1e-6)


def test_texts_go_through_the_tokenizer_and_the_model(clip, checkpoint):
    texts = ["a cat", "dogs", "two red dogs", "x", "A  B, c", "a cat"]
    ids = np.array([ids_of(text) for text in texts])
    expected = np.asarray(
        nnx.jit(ClipModel.encode_tokens)(checkpoint[1], jnp.asarray(ids, jnp.int32))
    )
    for result in (
        clip.encode_texts(texts),
        clip.encode_texts(tuple(texts)),
        clip.encode_texts(np.array(texts)),
        clip.encode_tokens(ids),
        clip.encode_tokens(jnp.asarray(ids, jnp.int32)),
        clip.encode_tokens(ids.tolist()),
    ):
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == ((6, 12), np.float32)
        np.testing.assert_allclose(result, expected, atol=2e-6)
    np.testing.assert_allclose(result[0], result[5], atol=2e-6)


def test_long_and_short_captions_keep_their_places(checkpoint, caplog):
    clip = load_clip(checkpoint[0], batch_size=4)
    texts = ["w" * 40, "a", "b c", "w" * 18, "w" * 30 + " end", "w" * 17, "d"]
    with caplog.at_level(logging.WARNING):
        together = clip.encode_texts(texts)
        alone = np.concatenate([clip.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(together[0], together[4], atol=2e-6)  # cut to the same 18 tokens
    assert [r.getMessage().split(" are")[0] for r in caplog.records] == ["2 of 7 captions"]


def test_queries_are_prepared_one_by_one(clip):
    """What threads prepare, put together, is what the whole list gives."""
    images = pictures(3)
    pixels = np.stack([clip.prepare_image(image) for image in images])
    np.testing.assert_array_equal(pixels, clip.pixels_of(images))
    rows = [clip.prepare_text(caption) for caption in CAPTIONS]
    assert all(row.dtype == np.int32 and row.ndim == 1 for row in rows)
    np.testing.assert_array_equal(clip.pad_texts(rows), clip.tokens_of(CAPTIONS))
    longest = clip.pad_texts(rows, one_length=True)
    assert longest.shape == (len(CAPTIONS), 20)
    np.testing.assert_allclose(clip.encode_tokens(longest), clip.encode_texts(CAPTIONS), atol=2e-6)
    first, end = clip.spans(jnp.asarray(longest))
    for row, a, b, ids in zip(longest, first, end, rows, strict=True):
        assert list(row[a:b]) == list(ids[1:-1])
    with pytest.raises(UserError, match="is empty or only white space"):
        clip.prepare_text(" ")


def test_padding_of_texts_changes_nothing(clip):
    ids = np.array([ids_of("a cat", 20)])
    zeros = np.where(np.arange(20) > 6, 0, ids)
    short = ids[:, :8]
    assert (zeros != ids).any()
    expected = clip.encode_texts(["a cat"])
    for other in (ids, zeros, short):
        np.testing.assert_allclose(clip.encode_tokens(other), expected, atol=2e-6)


def test_few_shapes_compile(checkpoint):
    clip = load_clip(checkpoint[0], batch_size=16)
    loaded._embed_pixels.clear_cache()
    pixels = np.zeros((50, 24, 24, 3), np.float32)
    for count in (1, 2, 3, 4, 5, 9, 16, 17, 31, 50):
        assert clip.encode_pixels(pixels[:count]).shape == (count, 12)
    assert loaded._embed_pixels._cache_size() == 3  # 1, 4 and 16 rows
    load_clip(checkpoint[0], batch_size=16).encode_pixels(pixels)
    assert loaded._embed_pixels._cache_size() == 3


@pytest.mark.parametrize(
    ("size", "rows"), [(1, [1]), (6, [1, 2, 6]), (10, [1, 3, 10]), (64, [1, 4, 16, 64])]
)
def test_padded_rows(size, rows):
    expected = [min(r for r in rows if r >= count) for count in range(1, size + 1)]
    assert [padded_rows(count, size) for count in range(1, size + 1)] == expected


def test_empty_lists_give_no_rows(clip):
    for result in (
        clip.encode_images([]),
        clip.encode_texts([]),
        clip.encode_pixels(np.zeros((0, 24, 24, 3), np.float32)),
        clip.encode_tokens(np.zeros((0, 16), np.int32)),
    ):
        assert (result.shape, result.dtype) == ((0, 12), np.float32)


def test_changed_parameters_are_seen(checkpoint):
    clip = load_clip(checkpoint[0])
    before = clip.encode_texts(["a cat"])
    scale = clip.model.text.final_norm.scale
    scale.set_value(scale[...] * jnp.linspace(0.5, 2, scale[...].size))
    assert np.abs(clip.encode_texts(["a cat"]) - before).max() > 1e-3


def test_temperature_and_shape(clip, checkpoint):
    assert clip.logit_scale == 3.0
    assert clip.temperature == pytest.approx(np.exp(-3.0))
    assert clip.config == CONFIG
    assert clip.folder == checkpoint[0]
    assert len(repr(clip)) < 1000


def test_precision(checkpoint, clip, monkeypatch):
    folder = checkpoint[0]
    assert clip.model.compute_dtype == jnp.float32  # "auto" on a CPU
    half = load_clip(folder, precision="bfloat16")
    assert half.model.compute_dtype == jnp.bfloat16
    result, images = half.encode_images(pictures(3)), clip.encode_images(pictures(3))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, images, atol=0.05)
    assert np.abs(result - images).max() > 1e-5
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert load_clip(folder).model.compute_dtype == jnp.bfloat16
    assert load_clip(folder, precision="float32").model.compute_dtype == jnp.float32
    with pytest.raises(UserError, match="unknown precision 'bfloat'; did you mean 'bfloat16'"):
        load_clip(folder, precision="bfloat")


def test_tcr_preprocessing(checkpoint, clip):
    tcr = load_clip(checkpoint[0], preprocessing="tcr")
    assert tcr.preprocessing.mode == "tcr"
    image = pictures(1)[0]
    rgb = image.resize((24, 24), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(tcr.encode_images([image]), clip.encode_images([rgb]), atol=2e-6)
    np.testing.assert_allclose(
        tcr.encode_texts(["A (cat)!"]), clip.encode_texts(["a cat"]), atol=2e-6
    )
    assert tcr.encode_texts(["..."]).shape == (1, 12)  # cleaned to nothing: start and end
    with pytest.raises(UserError, match="unknown preprocessing mode 'blip'"):
        load_clip(checkpoint[0], preprocessing="blip")


BIG = np.zeros((2, 24, 24, 3), np.float32)
NAN = np.where(np.arange(2)[:, None, None, None] == 1, np.float32("nan"), BIG)
GOOD = np.array([ids_of("a cat"), ids_of("dogs")])


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("encode_images", Image.new("RGB", (9, 9)), r"must be a list, not one image; write \[im"),
        (
            "encode_images",
            [Image.new("RGB", (9, 9)), "a.jpg"],
            "image 1: expected a PIL image, not",
        ),
        ("encode_images", [Image.new("L", (1, 2000))], "image 0: an image of 1x2000 pixels is a"),
        ("encode_texts", "a cat", r"must be a list, not one string; write \['a cat'\]"),
        ("encode_texts", ["a cat", ""], "caption 1 is empty or only white space"),
        ("encode_texts", ["a cat", " \n\u3000"], "caption 1 is empty or only white space"),
        ("encode_texts", ["a cat", "b", 7], r"caption 2 is 7 \(int\), not a string"),
        ("encode_texts", b"a cat", r"caption 0 is 97 \(int\), not a string"),
        ("encode_pixels", BIG[0], r"pixels have shape \[24, 24, 3\]"),
        ("encode_pixels", BIG[:, :16], r"takes \[n, 24, 24, 3\] \(channels last\)"),
        ("encode_pixels", BIG.astype(np.uint8), "pixels are uint8, but must be float32"),
        ("encode_pixels", BIG.astype(np.float64), "pixels are float64"),
        ("encode_pixels", NAN, "pixels of image 1 hold NaN, infinite values or values beyond"),
        (
            "encode_tokens",
            GOOD[0],
            r"token ids have shape \[16\], but this model takes \[n, length",
        ),
        ("encode_tokens", np.zeros((2, 21), int), "with a length of 1 to 20"),
        ("encode_tokens", np.zeros((2, 0), int), "with a length of 1 to 20"),
        ("encode_tokens", GOOD.astype(np.float32), "token ids are float32, but must be integers"),
        ("encode_tokens", GOOD.astype(bool), "token ids are bool"),
        (
            "encode_tokens",
            GOOD + np.array([[0], [1]]),
            r"text 1 range from \d+ to 514, but .* 514 entries",
        ),
        ("encode_tokens", GOOD - np.array([[0], [600]]), "text 1 range from -"),
        ("encode_tokens", GOOD[:, :3], r"text 0 hold no end token \(id 513\)"),
    ],
)
def test_bad_input_is_one_clear_error(clip, method, value, message):
    with pytest.raises(UserError, match=message):
        getattr(clip, method)(value)


def test_a_checkpoint_without_tokenizer_still_takes_ids(tmp_path):
    write_checkpoint(tmp_path, vocab=None)
    clip = load_clip(tmp_path)
    assert clip.encode_tokens(GOOD).shape == (2, 12)
    with pytest.raises(UserError, match=r"holds no tokenizer; add tokenizer\.json, or vocab\.json"):
        clip.encode_texts(["a cat"])


def test_other_channels_take_only_pixels(tmp_path):
    write_checkpoint(
        tmp_path, dataclasses.replace(CONFIG, vision=dataclasses.replace(CONFIG.vision,
                                                                         num_channels=5))
    )  # fmt: skip
    clip = load_clip(tmp_path)
    assert clip.encode_pixels(np.zeros((2, 24, 24, 5), np.float32)).shape == (2, 12)
    assert clip.encode_texts(["a cat"]).shape == (1, 12)
    with pytest.raises(UserError, match="takes 5 channels, pictures have 3; make the pixels"):
        clip.encode_images(pictures(1))


def text_config(**changes):
    return dataclasses.replace(CONFIG, text=dataclasses.replace(CONFIG.text, **changes))


def test_the_legacy_end_token_is_the_largest_id(tmp_path, clip):
    write_checkpoint(tmp_path, text_config(eos_token_id=2))
    legacy = load_clip(tmp_path)
    np.testing.assert_allclose(
        legacy.encode_texts(CAPTIONS[:4]), clip.encode_texts(CAPTIONS[:4]), atol=2e-6
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (text_config(vocab_size=513, eos_token_id=512), "ids up to 513, but .* vocab_size 513"),
        (text_config(eos_token_id=400), "end token has id 513, but the model pools at id 400"),
    ],
)
def test_a_tokenizer_of_another_checkpoint_is_refused(tmp_path, config, message):
    write_checkpoint(tmp_path, config)
    with pytest.raises(UserError, match=message):
        load_clip(tmp_path)


def test_end_token_below_others_in_a_legacy_model(tmp_path):
    swapped = VOCAB | {"<|startoftext|>": END, "<|endoftext|>": START}
    write_checkpoint(tmp_path, text_config(eos_token_id=2), swapped)
    with pytest.raises(UserError, match="end token has id 512, but the model pools at id 513"):
        load_clip(tmp_path)


def test_bundled_is_a_folder_of_the_package(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match="the bundled model is not part of this installation"):
        load_clip()
    (tmp_path / "bundled").symlink_to(checkpoint[0])
    assert load_clip().config == load_clip("bundled").config == CONFIG
    with pytest.raises(UserError, match="the bundled model has no revision 'main'"):
        load_clip("bundled", "main")


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batch_size(checkpoint, size):
    with pytest.raises(UserError, match=f"batch_size is {size}; it must be at least 1"):
        load_clip(checkpoint[0], batch_size=size)


def test_the_package_exports_and_imports_lightly():
    assert reex_jax.Clip is Clip is api.Clip
    assert {"Clip", "load_clip"} <= set(dir(reex_jax))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = reex_jax.nothing
    check = "import sys, reex_jax; assert not {'jax', 'flax', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    check = "import sys; from reex_jax import load_clip; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
