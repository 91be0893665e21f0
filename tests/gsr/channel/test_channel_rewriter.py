"""What the embedded channel mends and what it leaves alone."""

import pytest

from reex_jax.gsr.channel.load import load_language
from reex_jax.gsr.channel.rewriter import ChannelRewriter
from reex_jax.gsr.dictionary import Dictionary


@pytest.fixture(scope="module")
def rewriter(dictionary: Dictionary) -> ChannelRewriter:
    return ChannelRewriter(*load_language(dictionary))


def mend(rewriter: ChannelRewriter, text: str) -> str:
    (repair,) = rewriter.rewrite([text])
    return repair.repaired


@pytest.mark.parametrize(
    ("damaged", "meant"),
    [
        ("a wonan riding a hprse on teh beach", "a woman riding a horse on the beach"),
        ("a d0g p1aying with a 6all in the 5now", "a dog playing with a ball in the snow"),
        ("two chilren are lookng at the wter", "two children are looking at the water"),
        ("A ma@n in a rGed jack8et", "A man in a red jacket"),
    ],
)
def test_mends(rewriter: ChannelRewriter, damaged: str, meant: str) -> None:
    assert mend(rewriter, damaged) == meant


@pytest.mark.parametrize(
    "sound",
    [
        "a man & a woman",
        "a sandwich w/ cheese",
        "an AT&T store beside an R&B club",
        "2 + 2 / 3 % of 5 @ # \u2014 done",
        "a smiling dog \U0001f600",
        "a 10 kg bag and a 5 ft. fence",
        "a boy on a bmx bike",
        "two kayakers and a pitbull",
        "two rollerbladers and a wakeboarder on a quarterpipe",
        "an SUV and an ATV in the USA",
        "Two dogs play in the snow .",
        "the man 's hat isn't red",
        "\u72ac\u304c\u8d70\u308b",
        "",
        " ",
    ],
)
def test_sound_text_stays(rewriter: ChannelRewriter, sound: str) -> None:
    assert mend(rewriter, sound) == sound


def test_confidence_falls_with_doubt(rewriter: ChannelRewriter) -> None:
    sure, unsure = rewriter.rewrite(["a brown dog runnning on grass", "a xqse plomd fra grass"])
    assert sure.generation is not None and unsure.generation is not None
    assert sure.generation > 0.9 > unsure.generation


def test_readings_begin_with_the_repair(rewriter: ChannelRewriter) -> None:
    text = "a dgo on teh coach"
    (readings,) = rewriter.readings([text], 8)
    assert readings[0].text == mend(rewriter, text)
    assert len({reading.text for reading in readings}) == len(readings) > 1
    totals = [reading.edits + reading.language for reading in readings]
    assert totals == sorted(totals, reverse=True)


def test_texts_do_not_depend_on_their_neighbours(rewriter: ChannelRewriter) -> None:
    texts = ["a dgo on teh coach", "tw chilren ar lookng", "a red car"]
    together = [item.repaired for item in rewriter.rewrite(texts)]
    assert together == [mend(rewriter, text) for text in texts]
