"""What models put around a repair, and how long it takes to see through hostile replies."""

import time

import pytest

from reex_jax.gsr.unwrap import readable, unwrap

QUERIES = {
    "a dgo on the beach": "a dog on the beach",
    "a wonan ridng a b1ke on teh beech with two smal dogs behind her in the sun": (
        "a woman riding a bike on the beach with two small dogs behind her in the sun"
    ),
}
WRAPPINGS = {
    "end tokens": [
        "%s<|im_end|>",
        "%s</s>",
        "%s<|endoftext|>",
        "%s<|im_end",
        "%s<end_of_turn>\n<start_of_turn>user\nmore",
        "%s<\uff5cend\u2581of\u2581sentence\uff5c>",
        "%s [/INST] and more",
    ],
    "role tokens": [
        "<|im_start|>assistant\n%s<|im_end|>\n<|im_start|>user\nnext",
        "<|start_header_id|>assistant<|end_header_id|>\n\n%s<|eot_id|>",
        "<start_of_turn>model\n%s",
        "<|assistant|>%s",
        "assistant\n\n%s",
        "Assistant: %s",
    ],
    "channels": [
        "<|channel|>analysis<|message|>A typo.<|end|><|start|>assistant"
        "<|channel|>final<|message|>%s<|return|>",
        "<|channel|>final<|message|>%s",
        "<|channel|>final %s",
        "<|message|>%s<|return|>",
        "analysisThe user has a typo.assistantfinal%s",
        "<|channel>thought\na typo<channel|>%s",
    ],
    "thoughts": [
        "<think>\nhm\n\nhm\n</think>\n\n%s",
        "The user has a typo.\n\n</think>\n\n%s",
        "typo.</think>%s",
        "%s<think>was that right",
        "%s<think>yes</think>",
        "<thinking>a</thinking>%s",
        "<think>a<think>b</think>c</think>%s",
        "[THINK]a[/THINK]%s",
        "\u25c1think\u25b7a\u25c1/think\u25b7%s",
    ],
    "Markdown": ["**%s**", "*%s*", "_%s_", "`%s`", "# %s", "> %s", "- %s", "1. %s", "~~old~~ %s"],
    "fences": ["```\n%s\n```", "```text\n%s\n```", "```text %s```", "```%s```", "~~~\n%s\n~~~"],
    "JSON": [
        '{"query": "%s"}',
        '{"corrected": "%s", "note": "two typos"}',
        "{'query': '%s'}",
        '["%s"]',
        '"%s"',
        '```json\n{"query": "%s"}\n```',
    ],
    "quotes": [
        "'%s'",
        "\u2018%s\u2019",
        "\u201c%s\u201d",
        "\u201e%s\u201c",
        "\u00ab%s\u00bb",
        "\u300c%s\u300d",
        '"%s',
        "&quot;%s&quot;",
    ],
    "labels": [
        "Corrected: %s",
        "**Corrected:** %s",
        "Corrected query: %s",
        "The corrected query is: %s",
        "Sure! Here is the corrected query: %s",
        "Here's the corrected version:\n\n%s",
        'Mended: "%s"',
        "Verbessert: %s",
        "<answer>%s</answer>",
    ],
    "signs": ["\ufeff%s\n", "%s\x00", "%s\ud800", "\u200b%s\r\n"],
}


@pytest.mark.parametrize("kind", WRAPPINGS)
def test_wrapping_is_taken_off_whatever_the_length(kind):
    for query, repair in QUERIES.items():
        for wrapping in WRAPPINGS[kind]:
            assert unwrap(query, wrapping.replace("%s", repair)) == repair, wrapping


@pytest.mark.parametrize(
    "reply",
    [
        "<think>so many thoughts that no room is left",
        "a typo, thinks the model</think>",
        "<|channel|>analysis<|message|>The user has a typo",
        "<|channel|>commentary a typo",
        "<|im_start|>assistant\n<|im_end|>",
        "\ud800",
        "",
    ],
)
def test_nothing_is_left(reply):
    assert unwrap("a dgo", reply) == ""


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ('"stop" sign', '"stop" sign'),
        ("**bold** txt", "**bold** text"),
        ("# a headng", "# a heading"),
        ("`code` on a scren", "`code` on a screen"),
        ("a sign: stpo", "a sign: stop"),
        ("output: a dgo", "output: a dog"),
        ("say </think> twise", "say </think> twice"),
        ("an <|im_end|> tokn", "an <|im_end|> token"),
        ("1. a dgo", "1. a dog"),
        ("AT&amp;T logoo", "AT&amp;T logo"),
        ("a sign that reads stop", "a sign that reads: stop"),
    ],
)
def test_what_the_query_has_stays(query, reply):
    assert unwrap(query, reply) == reply


def test_layers_come_off_one_by_one():
    reply = '<think>x</think>```json\n{"query": "Corrected: **a dog**"}\n```<|im_end|>'
    assert unwrap("a dgo", reply) == "a dog"


def test_signs_of_all_scripts_stay_readable():
    text = "caf\u00e9 \u4e24\u53ea \u0643\u0644\u0628 \U0001f468\u200d\U0001f469 \u2014 5 \u20ac"
    assert readable(text) == text


@pytest.mark.parametrize(
    "hostile",
    ["<think>", "</think>", "<think></think>", "<|", "```", "{", "[", "(", "**", "~~", "a:", "<a:",
     "<", '"', "<|message|>", "<|channel|>", "[INST]", "analysis", "\ud800", "\u200b"],
)  # fmt: skip
def test_hostile_replies_take_no_time(hostile):
    began = time.perf_counter()
    unwrap("a dgo", hostile * (1_000_000 // len(hostile)))
    assert time.perf_counter() - began < 5
