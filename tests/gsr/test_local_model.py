"""The rewriter `transformers` with tiny models made here, and `openai` against a real server.

Needs PyTorch and transformers[serving]: pytest -m slow tests/gsr/test_local_model.py
"""

import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.completion import own_confidence
from reex_jax.gsr.dictionary import known_words
from reex_jax.gsr.endpoint import Endpoint
from reex_jax.gsr.local_model import LocalRewriter, _Loaded, folder_digest
from reex_jax.gsr.openai_chat import OpenAIRewriter
from reex_jax.gsr.prompt import build_messages, flat_prompt

WORDS = known_words()
PAIRS = {
    "a rde dog": "a red dog",
    "teh cat on a mat": "the cat on a mat",
    "a big house": "a big house",
}
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def test_a_model_must_be_pinned(tmp_path):
    with pytest.raises(UserError, match=r"'some/model' is no folder .* set gsr\.revision to a com"):
        LocalRewriter("some/model", "", WORDS)
    assert "model=some/model@abc " in LocalRewriter("some/model", "abc", WORDS).identity
    (tmp_path / "weights").write_text("1")
    before = folder_digest(tmp_path)
    assert f"sha256:{before} " in LocalRewriter(str(tmp_path), "", WORDS).identity
    (tmp_path / "weights").write_text("2")
    assert folder_digest(tmp_path) != before


def test_missing_pytorch_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        UserError, match=r"needs PyTorch; install it with pip install 'reex_jax\[to"
    ):
        next(LocalRewriter(str(tmp_path), "", WORDS).rewrite(["a"]))


class Pieces:
    """A tokenizer whose tokens are bytes; 0 is the end."""

    chat_template = "some"

    def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return bytes(filter(None, tokens)).decode("utf-8", "replace")


def choice(text: str, ends: bool = True):
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=0))
    tokens = [*text.encode(), *([0] if ends else [])]
    logs = [-0.1 * place for place in range(1, len(tokens) + 1)]
    return _Loaded(None, model, Pieces(), encodes=False)._choice(tokens, logs)


def test_tokens_of_a_reply_keep_their_places():
    found, count = choice("<think>x</think>a caf\u00e9")
    assert (found.text, found.fault, count) == ("<think>x</think>a caf\u00e9", "", 24)
    assert "".join(piece for piece, _ in found.tokens) == found.text
    # The repair is tokens 17 to 23, two of them for its last letter.
    assert own_confidence(found.tokens, "a caf\u00e9") == pytest.approx(math.exp(-0.1 * 20))
    assert choice("a do", ends=False)[0].fault == "cut off"


def make_tokenizer(folder: Path, texts: list[str], chat: str | None):
    """Byte pairs across words: what prompts share becomes few tokens, so training is quick."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        min_frequency=len(PAIRS),
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    wrapped.chat_template = chat
    wrapped.save_pretrained(folder)
    return wrapped


def make_causal(folder: Path, chat: str | None):
    """A tiny GPT-2 that has learnt PAIRS by heart."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)  # so small a model, or a busy machine, is slower with more
    if chat:
        shared = [message["content"] for message in build_messages("")] * len(PAIRS)
    else:
        shared = [flat_prompt(query) for query in PAIRS]
    tokenizer = make_tokenizer(folder, shared, chat)
    rows = []
    for query, reply in PAIRS.items():
        prompt, rest = flat_prompt(query), f" {reply}\nQuery:"
        if chat:
            prompt = tokenizer.apply_chat_template(
                build_messages(query), tokenize=False, add_generation_prompt=True
            )
            rest = f"{reply}</s>"
        rows.append(
            [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, rest)]
        )
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=64, n_layer=2, n_head=4,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        for prompt, rest in rows:
            ids = torch.tensor([[*prompt, *rest]])
            labels = ids.clone()
            labels[:, : len(prompt)] = -100  # only the reply is learnt
            loss = model(ids, labels=labels).loss
            loss.backward()
        optimizer.step()
    assert loss < 0.1, f"{len(rows[0][0])} tokens of prompt, loss {loss}"
    model.eval().save_pretrained(folder)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("chat")
    make_causal(folder, CHAT)
    return folder


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_a_chat_model(chat_model):
    rewriter = LocalRewriter(str(chat_model), "", WORDS, batch_size=2)
    found = {item.text: item for item in rewriter.rewrite(list(PAIRS))}
    assert {text: item.repaired for text, item in found.items()} == PAIRS
    assert found["a big house"].reason == "unchanged"
    assert all(0.5 < item.generation <= 1 for item in found.values())
    assert all(item.prompt_tokens > 50 and item.reply_tokens > 3 for item in found.values())
    alone = next(LocalRewriter(str(chat_model), "", WORDS, batch_size=1).rewrite(["a rde dog"]))
    assert alone.generation == pytest.approx(found["a rde dog"].generation, rel=1e-3)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_confidence_against_a_plain_forward_pass(chat_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    item = next(LocalRewriter(str(chat_model), "", WORDS).rewrite(["a rde dog"]))
    model = AutoModelForCausalLM.from_pretrained(chat_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    prompt = tokenizer.apply_chat_template(
        build_messages("a rde dog"), tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    logs = []
    for _ in range(item.reply_tokens):
        with torch.no_grad():
            step = torch.log_softmax(model(ids).logits[0, -1].double(), -1)
        logs.append(float(step.max()))
        ids = torch.cat([ids, step.argmax().reshape(1, 1)], dim=1)
    own = logs[:-1]  # the end token is no part of the repair
    assert item.generation == pytest.approx(math.exp(sum(own) / len(own)), rel=1e-4)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_a_model_without_chat_counts_to_the_end_of_the_line(tmp_path):
    pytest.importorskip("torch")
    make_causal(tmp_path, None)
    rewriter = LocalRewriter(str(tmp_path), "", WORDS)
    assert {item.text: item.repaired for item in rewriter.rewrite(list(PAIRS))} == PAIRS


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_a_sequence_to_sequence_model(tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = make_tokenizer(tmp_path, [*PAIRS, *PAIRS.values()], None)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4,
        dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        for query, reply in PAIRS.items():
            ids = torch.tensor([tokenizer(query)["input_ids"]])
            labels = torch.tensor([[*tokenizer(reply)["input_ids"], tokenizer.eos_token_id]])
            model(ids, labels=labels).loss.backward()
        optimizer.step()
    model.eval().save_pretrained(tmp_path)
    rewriter = LocalRewriter(str(tmp_path), "", WORDS, temperature=0.1, samples=3)
    found = {item.text: item for item in rewriter.rewrite(list(PAIRS))}
    assert {text: item.repaired for text, item in found.items()} == PAIRS


@pytest.mark.filterwarnings("default")
def test_a_folder_that_holds_no_model(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(UserError, match=r"cannot be loaded .* name a folder or hub id of a causal"):
        next(LocalRewriter(str(tmp_path), "", WORDS).rewrite(["a"]))


@pytest.fixture
def server(chat_model):
    """`transformers serve` on a free port; yields its address."""
    command = Path(sys.executable).with_name("transformers")
    if not command.exists():
        pytest.skip("needs transformers[serving]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [command, "serve", "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "transformers serve ended"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_openai_against_a_real_server(server, chat_model):
    endpoint = Endpoint(server, "", timeout_s=60, attempts=2)
    rewriter = OpenAIRewriter(endpoint, str(chat_model), WORDS, concurrency=2)
    found = {item.text: item for item in rewriter.rewrite(list(PAIRS))}
    assert {text: item.repaired for text, item in found.items()} == PAIRS
    # This server takes no notice of logprobs: no confidence, rather than a wrong one.
    assert all(item.generation is None for item in found.values())
    assert all(item.prompt_tokens > 0 for item in found.values())
    agreeing = OpenAIRewriter(endpoint, str(chat_model), WORDS, temperature=0.1, samples=2)
    assert next(agreeing.rewrite(["a rde dog"])).generation in (0.5, 1.0)
