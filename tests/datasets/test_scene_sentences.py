import re

import pytest

from reex_jax.datasets import scene_captions, scenes
from reex_jax.datasets.scene_sentences import rewrite_scene_caption, rule_rewriter
from reex_jax.errors import UserError

KINDS = ("formal", "casual", "passive", "active", "back_translation")
CAPTIONS = [c for i in range(300) for c in scenes.caption_set("tune", 5, i)]

# What a caption is about, word by word; ground words only where ground nouns follow.
CONCEPTS = {
    "shape": scene_captions.SHAPE_WORDS,
    "colour": scene_captions.COLOUR_WORDS,
    "size": scene_captions.SIZE_WORDS,
    "pattern": {
        name: (*scene_captions.TEXTURE_WORDS[name], *scene_captions.TEXTURE_TAILS.get(name, ()))
        for name in ("striped", "dotted", "checkered")
    },
    "relation": {k: tuple(w.strip() for w in v) for k, v in scene_captions.RELATIONS.items()},
}
GROUND = re.compile(
    "((?:" + "|".join(w for words in scene_captions.GROUND_WORDS.values() for w in words) + ") "
    "(?:" + "|".join(scene_captions.GROUND_NOUNS) + "))"
)


def facts(text):
    """(what was said of the things, in order; the ground's words)."""
    ground = GROUND.findall(text)
    things = GROUND.sub("", text)
    names = {
        word: (sort, name)
        for sort, groups in CONCEPTS.items()
        for name, words in groups.items()
        for word in words
    }
    longest = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return [names[found] for found in re.findall(rf"\b({longest})\b", things)], ground


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_was_said_is_lost_or_added(kind):
    changed = 0
    for caption in CAPTIONS:
        text = rewrite_scene_caption(caption, kind)
        assert text == rewrite_scene_caption(caption, kind)
        if kind == "formal":
            assert text.startswith("The present ") and text.endswith(".")
        assert facts(text) == facts(caption[0].lower() + caption[1:]), (caption, text)
        changed += text != caption
    assert changed > 0.99 * len(CAPTIONS)


EXAMPLES = [
    "The present image presents a striped red disc left of a tiny star, situated on a grainy beige "
    "backdrop.",
    "basically a striped red disc left of a tiny star on a grainy beige backdrop, pretty neat",
    "a striped red disc left of a tiny star can be seen on a grainy beige backdrop",
    "the drawing has a striped red disc left of a tiny star on a grainy beige backdrop",
    "it is to see a stripy scarlet ball to the left of a little star on a grainy beige backdrop",
]


def test_examples():
    caption = "A grainy beige backdrop with a striped red disc left of a tiny star."
    assert [rewrite_scene_caption(caption, kind) for kind in KINDS] == EXAMPLES
    assert rule_rewriter("active")("any", [caption]) == [EXAMPLES[3]]


@pytest.mark.parametrize("caption", ["a dog on a beach", "犬", "a red circle next to a dog", "."])
def test_other_captions_are_refused(caption):
    with pytest.raises(UserError, match="is no caption of a scene; the rules know scenes only"):
        rewrite_scene_caption(caption, "formal")


def test_an_unknown_kind():
    with pytest.raises(UserError, match="unknown sentence kind 'formel'; did you mean 'formal'"):
        rewrite_scene_caption(CAPTIONS[0], "formel")
