"""Sound captions that word lists know nothing of come back as they are, from both rewriters."""

import pytest

from reex_jax.gsr.channel.load import load_language
from reex_jax.gsr.channel.rewriter import ChannelRewriter
from reex_jax.gsr.symspell import SymSpellRewriter

SOUND = (
    "a man & a woman",
    "a dog + a cat",
    "black / white cat",
    "a man \u2014 a plan",
    "a dog \u2013 a cat -- and a bird",
    "2 + 2 / 3 % of 5 @ # done",
    "a dog \U0001f436 on a beach",
    "a \u2764\ufe0f of stone",
    "\U0001f469\U0001f3fd\u200d\U0001f692 at work",
    "\u2192 left, \u2600 over the sea",
    "\u20ac 5 note and a $5.99 one",
    "a sandwich w/ cheese, coffee w/o sugar",
    "an AT&T store beside an R&B club and an H&M one",
    "a b&w photo in an AC/DC shirt",
    "M&M's candy",
    "C++ and C# books",
    "the U.S. flag at 5 p.m.",
    "SUVs, an ATV and DJs with PJs on TV",
    "a 6ft tall man with a 10 kg bag, a 5 ft. fence and a 12oz can",
    "a 4x4 truck at 70mph in 25\u00b0C",
    "the 3rd/4th floor of a 5k run",
    "3D glasses and an mp3 player",
    "a man/woman and/or a dog",
    "Dr. Smith and Mr. Brown vs. St. Mary",
    "O'Brien at McDonald's",
    "the 90's music of the '70s",
    "TWO DOGS RUNNING",
    "A T-shirt, an X-ray and a Wi-Fi sign",
    "a caf\u00e9 with a jalape\u00f1o",
    "\u0643\u0644\u0628 \u0639\u0644\u0649",
    "\u4e24\u53ea\u72d7",
    "a dog @home at #sunset",
    "a sign with x^2 and a_b on it, by @some_one",
    "see www.example.com/a_b or me@example.org",
    "There are two dogs ; one leaps over the fence",
    'a machine marked " other people \'s photographs . "',
    "a boy on a bmx bike",
    "kayakers and a pitbull",
    "a rollerblader practicing on a halfpipe",
)


@pytest.fixture(scope="module", params=["channel", "symspell"])
def rewriter(request, dictionary):
    if request.param == "symspell":
        return SymSpellRewriter(dictionary)
    return ChannelRewriter(*load_language(dictionary))


@pytest.mark.parametrize("text", SOUND)
def test_sound_texts_stay(rewriter, text):
    (repair,) = rewriter.rewrite([text])
    assert repair.repaired == text and repair.reason == "unchanged"


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("TV & a RED wonan + 2 CATS \U0001f436", "TV & a RED woman + 2 CATS \U0001f436"),
        ("McDonald's w/ a wonan & a T-shirt", "McDonald's w/ a woman & a T-shirt"),
        ("a #box and bl4ack dog", "a box and black dog"),  # where noise is, a sign is noise
        ("a ; dog ; runs", "a dog runs"),
        ("a boy . runs", "a boy runs"),
        ("An SUV  parked by teh 3rd/4th house", "An SUV  parked by the 3rd/4th house"),
    ],
)
def test_untouched_words_keep_their_form(rewriter, text, repaired):
    (repair,) = rewriter.rewrite([text])
    assert repair.repaired == repaired
