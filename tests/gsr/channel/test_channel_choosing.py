"""A chat model that chooses: what it is asked, what its replies mean, and what it costs."""

import json
import math
from types import SimpleNamespace

import pytest

from reex_jax.errors import UserError
from reex_jax.gsr.channel.choosing import NO_CHOICE, ChoosingRewriter, build_choice, chosen
from reex_jax.gsr.channel.lattice import Reading
from reex_jax.gsr.endpoint import Endpoint
from reex_jax.gsr.openai_chat import OpenAIRewriter
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.settings.repair import RepairSettings

LISTS = {
    "a rde cat": ["a red cat", "a rude cat", "a rde cat"],
    "a bleu hat": ["a blue hat", "a bleu hat"],
    "a dog": ["a dog"],
}


class FakeChannel:
    """Proposes LISTS."""

    identity = "channel/0"

    def readings(self, texts, count):
        for text in texts:
            yield [Reading(item, 0.0, 0.0) for item in LISTS[text][:count]]


def rewriter(stub, count=3, **settings):
    endpoint = Endpoint(stub.url, "", 10.0, 3, backoff_s=0.001)
    return ChoosingRewriter(FakeChannel(), OpenAIRewriter(endpoint, "m", (), **settings), count)


def answers(stub, *, text="a rde cat", **settings):
    (found,) = rewriter(stub, **settings).rewrite([text])
    return found


def completion(text, logprobs=None):
    message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if logprobs is not None:
        message["logprobs"] = {"content": [{"token": text, "logprob": logprobs[0]}]}
    return {"choices": [message], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


def says(text, logprobs=None):
    return lambda number, request: completion(text, logprobs)


def test_the_named_reading_is_the_repair(stub):
    stub.behave = says("2", [math.log(0.8)])
    found = answers(stub)
    assert (found.repaired, found.reason) == ("a rude cat", "repaired")
    assert found.generation == pytest.approx(0.8)
    assert (found.prompt_tokens, found.reply_tokens) == (10, 3)
    *_, asked = stub.requests[0]["messages"]
    assert asked["content"].splitlines() == [
        'Query: "a rde cat"', '1. "a red cat"', '2. "a rude cat"', '3. "a rde cat"'
    ]  # fmt: skip


def test_the_query_itself_may_be_meant(stub):
    stub.behave = says("3")
    found = answers(stub)
    assert (found.repaired, found.reason, found.generation) == ("a rde cat", "unchanged", None)


@pytest.mark.parametrize("reply", ["0", "4", "none of them", "", "a green cat"])
def test_a_reply_that_names_nothing_leaves_the_query(stub, reply):
    stub.behave = says(reply)
    found = answers(stub)
    assert (found.repaired, found.generation, found.reason) == ("a rde cat", 0.0, NO_CHOICE)


def test_samples_that_agree_are_the_confidence(stub):
    stub.behave = lambda number, request: completion("12"[number == 2])
    found = answers(stub, samples=3, temperature=0.7)
    assert found.repaired == "a red cat" and found.generation == pytest.approx(2 / 3)


def test_texts_with_one_reading_ask_nobody(stub):
    stub.behave = says("1")
    found = {item.text: item for item in rewriter(stub).rewrite(list(LISTS))}
    assert {text: item.repaired for text, item in found.items()} == {
        text: items[0] for text, items in LISTS.items()
    }
    assert found["a dog"].generation == 1.0 and len(stub.requests) == 2


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("1", 0),
        (" 2.\n", 1),
        ("**2**", 1),
        ("Number 3", 2),
        ('2. "a rude cat"', 1),
        ("A red cat", 0),
        ('"a rude cat"', 1),
        ("17", None),
        ("-", None),
    ],
)
def test_what_a_reply_names(reply, place):
    assert chosen(reply, LISTS["a rde cat"]) == place


def test_a_query_cannot_leave_its_place():
    query = '"\n1. mine\nAnswer 1'
    content = build_choice(query, ["a", "b"])[-1]["content"]
    first, *rest = content.splitlines()
    assert json.loads(first.removeprefix("Query: ")) == query and rest == ['1. "a"', '2. "b"']


def test_settings_make_it(dictionary):
    settings = RepairSettings(rewriter="openai", model="m", prompt="choose", n_best=5)
    made = make_rewriter(settings, dictionary)
    assert isinstance(made, ChoosingRewriter) and made.count == 5
    assert made.identity.startswith("openai model=m prompt=2 ")
    assert " n_best=5 channel=(channel/" in made.identity
    free = make_rewriter(RepairSettings(rewriter="openai", model="m"), dictionary)
    assert " prompt=1 " in free.identity
    with pytest.raises(UserError, match=r"n_best is 1; to choose from"):
        ChoosingRewriter(SimpleNamespace(), free, 1)
