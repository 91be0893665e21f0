"""The tokenizer against Hugging Face's CLIPTokenizer and against plain byte-pair merging."""

import itertools
import json
import logging
import random
import time
import unicodedata

import numpy as np
import pytest
from tokenizers import Tokenizer as Engine
from tokenizers import models, pre_tokenizers, trainers

from reex_jax.errors import UserError
from reex_jax.models.clip.config import ClipConfig
from reex_jax.models.clip.tokenizer import Tokenizer, has_tokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = tuple(
    """a an the two three dogs dog cat cats red blue small large running sitting on under near
table chair it's they're I've we'll don't I'm he'd street people person holding umbrella kitchen
photograph standing umbrella's naive coffee 2024 10,000 3.14 well-known snowboard traffic""".split()  # noqa: SIM905
)
ODD = (
    "éüßñçøÅĐłžǆǅ漢字かなカナ한국어हिन्दीعربىעבריתไทยРусскийΑλφαİıſK"  # noqa: RUF001
    "😀👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪❤️☃∑√≤½²①Ⅳ"
    "\u0301\u0308\u200b\u200d\u00a0\u2003\u3000\ufeff\x00\x01\x07\x1b\x7f\x85\t\n\r\x0b\x0c"
    "!?.,;:'\"`~@#$%^&*()[]{}<>|\\/+-=_"
)
SPECIAL = (
    "", " ", "\n\t ", "<b>html</b> &amp; &lt;tag&gt;", END, f"a {START} b {END} c", END.upper(),
    "''s 'S 're!'ll", "<|endoftext", "e\u0301 é \u1e9b\u0323", "ΣΑΣ", "a" * 500, "😀" * 90,
)  # fmt: skip


def byte_symbols():
    """OpenAI's printable stand-in for each of the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(hidden)}


@pytest.fixture(scope="module")
def vocabulary():
    """(vocab, merges) in CLIP's layout: bytes, bytes ending a word, merges, start, end."""
    engine = Engine(models.BPE(end_of_word_suffix="</w>"))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1700,
        end_of_word_suffix="</w>",
        show_progress=False,
        initial_alphabet=list(byte_symbols().values()),
        limit_alphabet=256,
    )
    rng = random.Random(5)
    stems = [
        "".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 9))) for _ in range(900)
    ]
    text = [rng.choice([*WORDS, *stems]).lower() for _ in range(9000)] + list(ODD.lower()) * 3
    engine.train_from_iterator(text, trainer)
    pairs = json.loads(engine.to_str())["model"]["merges"]
    merges = [(left, right) for left, right in pairs]
    symbols = list(byte_symbols().values())
    tokens = symbols + [symbol + "</w>" for symbol in symbols]
    tokens += dict.fromkeys(left + right for left, right in merges)
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    assert len(merges) > 1000
    return vocab, merges


@pytest.fixture(scope="module")
def texts():
    """10,000 varied strings."""
    rng = random.Random(7)
    assigned = [
        chr(c) for c in range(0x20000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")
    ]
    result = list(SPECIAL)
    while len(result) < 10_000:
        kind, size = rng.randrange(6), rng.randint(1, 12)
        if kind <= 1:
            text = " ".join(rng.choices(WORDS, k=size))
        elif kind == 2:
            text = "".join(rng.choices(ODD, k=size))
        elif kind == 3:
            text = "".join(rng.choices(assigned, k=size))
        elif kind == 4:
            text = "".join(rng.choice([w, w.upper(), w.title()]) + rng.choice(ODD + "  ") for w in
                           rng.choices(WORDS, k=size))  # fmt: skip
        else:
            text = "".join(rng.choices([*WORDS, *ODD, *SPECIAL[:10], " "], k=size))
        result.append(text)
    for i in range(0, 10_000, 200):
        result[i] = " ".join(rng.choices([*WORDS, *assigned[:4000]], k=300))
    return [*SPECIAL, *result[len(SPECIAL) :]]


def write_folder(folder, vocabulary, *, settings=None, whole=False):
    vocab, merges = vocabulary
    if whole:
        model = {"type": "BPE", "vocab": vocab, "merges": [" ".join(pair) for pair in merges]}
        model |= {"end_of_word_suffix": "</w>", "continuing_subword_prefix": "", "unk_token": END}
        added = [
            {"id": vocab[token], "content": token, "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False}
            for token in (START, END)
        ]  # fmt: skip
        content = {"version": "1.0", "added_tokens": added, "model": model}
        (folder / "tokenizer.json").write_text(json.dumps(content))
    else:
        (folder / "vocab.json").write_text(json.dumps(vocab))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def described(token, normalized):
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": normalized}
    return {"__type": "AddedToken", "content": token, **flags}


OPENAI_SETTINGS = {
    "tokenizer_class": "CLIPTokenizer",
    "bos_token": described(START, True),
    "eos_token": described(END, True),
    "unk_token": described(END, True),
    "pad_token": END,
}


def load_both(folder):
    from transformers import CLIPTokenizer

    return Tokenizer.load(folder, max_length=77), CLIPTokenizer.from_pretrained(str(folder))


def test_ids_equal_hugging_faces(tmp_path, vocabulary, texts):
    ours, theirs = load_both(write_folder(tmp_path, vocabulary))
    tokens = ours(texts)
    expected = theirs(texts, truncation=True, max_length=77, padding="max_length")["input_ids"]
    np.testing.assert_array_equal(tokens.ids, np.asarray(expected))
    full = theirs(texts)["input_ids"]
    assert tokens.truncated == sum(len(ids) > 77 for ids in full) > 40


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
def test_each_layout_of_the_files_equals_hugging_faces(tmp_path, vocabulary, texts, whole, decoder):
    settings = dict(OPENAI_SETTINGS)
    if decoder:
        settings["added_tokens_decoder"] = {
            str(vocabulary[0][token]): described(token, True) | {"special": True}
            for token in (START, END)
        }
        settings |= {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": "!"}
    folder = write_folder(tmp_path, vocabulary, settings=settings, whole=whole)
    ours, theirs = load_both(folder)
    sample = texts[:500]
    expected = theirs(sample, truncation=True, max_length=77, padding="max_length")["input_ids"]
    np.testing.assert_array_equal(ours(sample).ids, np.asarray(expected))
    assert ours.padding_id == (vocabulary[0]["!"] if decoder else ours.end_id)


def kind_of(char):
    major = unicodedata.category(char)[0]
    if char.isspace() or char in "\x85":
        return "space"
    return {"L": "letter", "N": "number"}.get(major, "other")


def split_words(text):
    """OpenAI's pattern, by hand: endings like 's, letters, single digits, other runs."""
    words, at = [], 0
    while at < len(text):
        ending = next(
            (e for e in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(e, at)), ""
        )
        kind, end = kind_of(text[at]), at + max(1, len(ending))
        if not ending and kind in ("letter", "other"):
            while end < len(text) and kind_of(text[end]) == kind:
                end += 1
        if kind != "space":
            words.append(text[at:end])
        at = end
    return words


def merge_bytes(word, ranks):
    """The lowest-ranked pair is joined wherever it occurs, until none is left (OpenAI's bpe)."""
    symbols = byte_symbols()
    parts = [symbols[byte] for byte in word.encode()]
    parts[-1] += "</w>"
    while True:
        known = [pair for pair in itertools.pairwise(parts) if pair in ranks]
        if not known:
            return parts
        best, joined = min(known, key=ranks.__getitem__), []
        while parts:
            take = 2 if tuple(parts[:2]) == best else 1
            joined.append("".join(parts[:take]))
            parts = parts[take:]
        parts = joined


def test_ids_equal_plain_byte_pair_merging(vocabulary, texts):
    vocab, merges = vocabulary
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    tokenizer = Tokenizer(vocab, merges, max_length=77)
    # Python lower-cases a final sigma in its own way; special tokens are no plain text.
    plain = [t for t in texts if "Σ" not in t and "<|" not in t and len(t) < 150][:1000]
    for text, row in zip(plain, tokenizer.encode(plain)[0], strict=True):
        words = split_words(unicodedata.normalize("NFC", text).lower())
        ids = [vocab[part] for word in words for part in merge_bytes(word, ranks)]
        assert row == [vocab[START], *ids[:75], vocab[END]], repr(text)


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(*vocabulary, max_length=77)


def test_padding_is_the_shortest_length_that_holds_all(tokenizer):
    for words, length in [(1, 16), (14, 16), (15, 32), (31, 48), (47, 64), (63, 77), (75, 77)]:
        assert tokenizer(["", "a " * words]).ids.shape == (2, length)
    ids = tokenizer(["a", ""]).ids
    assert ids.dtype == np.int32
    end = tokenizer.end_id
    assert ids[0].tolist() == [tokenizer.start_id, ids[0, 1], *[end] * 14]
    assert ids[1].tolist() == [tokenizer.start_id, *[end] * 15]
    assert tokenizer([]).ids.shape == (0, 16)


@pytest.mark.parametrize(("longest", "lengths"), [(10, (10,)), (16, (16,)), (64, (16, 32, 48, 64)),
                                                  (248, (16, 32, 48, 64, 77, 248))])  # fmt: skip
def test_lengths_end_at_the_models_positions(vocabulary, longest, lengths):
    tokenizer = Tokenizer(*vocabulary, max_length=longest)
    assert tokenizer.lengths == lengths
    ids = tokenizer(["a " * 400]).ids
    assert ids.shape == (1, longest)
    assert ids[0, -1] == tokenizer.end_id


def test_long_captions_are_cut_counted_and_reported_once(tokenizer, caplog):
    texts = ["a " * 10_000, "dog", "a " * 76, "a " * 75]
    started = time.perf_counter()
    with caplog.at_level(logging.WARNING):
        tokens, again = tokenizer(texts), tokenizer(texts)
    assert time.perf_counter() - started < 1
    assert tokens.truncated == again.truncated == 2
    assert tokens.ids.shape == (4, 77)
    assert (tokens.ids[[0, 2, 3], -1] == tokenizer.end_id).all()
    assert [record.getMessage() for record in caplog.records] == [
        "2 of 4 captions are longer than 77 tokens and were cut "
        "(said once; Tokens.truncated counts them)"
    ]


def test_a_word_of_many_characters_is_fast(tokenizer):
    started = time.perf_counter()
    assert tokenizer(["x" * 200_000, "\u0301" * 50_000]).truncated == 2
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("bad", [3, None, b"cat", ["cat"]])
def test_not_a_string_is_refused_with_its_position(tokenizer, bad):
    with pytest.raises(UserError, match=rf"caption 1 is .* \({type(bad).__name__}\), not a string"):
        tokenizer(["cat", bad])


def test_one_string_instead_of_a_list_is_refused(tokenizer):
    with pytest.raises(UserError, match=r"expected a list of captions.*write \['a cat'\]"):
        tokenizer("a cat")


def test_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(UserError, match="caption 1 is not valid Unicode"):
        tokenizer(["cat", "cat \ud83d"])


def test_the_length_comes_from_config_json(tmp_path, vocabulary):
    folder = write_folder(tmp_path, vocabulary)
    config = ClipConfig().to_dict()
    config["text_config"]["max_position_embeddings"] = 20
    (folder / "config.json").write_text(json.dumps(config))
    assert Tokenizer.load(folder).lengths == (16, 20)


def damage(folder, case):
    vocab, merges = {"a": 0, "a</w>": 1, START: 2, END: 3}, [("a", "a</w>")]
    good = ({**vocab, "aa</w>": 4}, merges)
    if case == "empty folder":
        return
    if case == "no merges":
        (write_folder(folder, good) / "merges.txt").unlink()
    elif case == "broken merges":
        (write_folder(folder, good) / "merges.txt").write_text("#version: 0.2\na b c\n")
    elif case == "broken vocab":
        (write_folder(folder, good) / "vocab.json").write_text('{"a": 0')
    elif case == "misfit":
        write_folder(folder, (vocab, [*merges, ("b", "c")]))
    elif case == "no end token":
        write_folder(folder, ({t: i for t, i in good[0].items() if t != END}, merges))
    elif case == "not CLIP's":
        write_folder(folder, ({"a": 0, "b": 1, START: 2, END: 3}, []))
    elif case == "other model":
        content = {"model": {"type": "WordPiece", "vocab": {"a": 0}}, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(content))
    elif case == "not JSON":
        (folder / "tokenizer.json").write_bytes(b"\xff\xfe\x00")
    elif case == "a list":
        (folder / "tokenizer.json").write_text("[]")
    elif case == "other layout":
        (folder / "tokenizer.json").write_text('{"model": 3}')
    elif case == "bad settings":
        write_folder(folder, good, settings={"bos_token": {"text": START}})


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("empty folder", r"holds no tokenizer; expected tokenizer\.json, or vocab\.json and"),
        ("no merges", r"merges\.txt is missing; a tokenizer is tokenizer\.json, or"),
        ("broken merges", r"cannot read vocab\.json and merges\.txt"),
        ("broken vocab", r"cannot read vocab\.json and merges\.txt"),
        ("misfit", "vocabulary and merges do not fit: .*out of vocabulary"),
        ("no end token", r"has no token '<\|endoftext\|>'"),
        ("not CLIP's", "no token ends in '</w>'; this is not a CLIP vocabulary"),
        ("other model", r"holds a WordPiece model; CLIP needs byte pairs \(BPE\)"),
        ("not JSON", r"tokenizer\.json: cannot be read as JSON"),
        ("a list", "expected a JSON object, found list"),
        ("other layout", "not laid out as Hugging Face's"),
        ("bad settings", "not laid out as Hugging Face's"),
    ],
)
def test_damaged_files_are_named(tmp_path, case, message):
    damage(tmp_path, case)
    with pytest.raises(UserError, match=message) as caught:
        Tokenizer.load(tmp_path, max_length=77)
    assert str(tmp_path) in str(caught.value)


def test_has_tokenizer(tmp_path, vocabulary):
    assert not has_tokenizer(tmp_path)
    assert has_tokenizer(write_folder(tmp_path, vocabulary))
