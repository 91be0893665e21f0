"""Captions of a scene: five people would each tell something else, in other words.

Every caption mentions shapes and most of their colours; texture, size, place, ground and
wording vary, and something is usually left out. So a caption fits a handful of the gallery's
images at times, and one damaged word can decide.
"""

from reex_jax.datasets.scene_world import Dice, Scene, Thing

SHAPE_WORDS = {
    "circle": ("circle", "circle", "disc", "round shape", "ball"),
    "square": ("square", "square", "box", "block"),
    "triangle": ("triangle", "triangle", "wedge", "pyramid"),
    "diamond": ("diamond", "diamond", "rhombus", "lozenge"),
    "star": ("star", "star", "five-pointed star", "starfish"),
    "ring": ("ring", "ring", "hoop", "donut"),
    "cross": ("cross", "cross", "plus sign", "plus"),
    "heart": ("heart", "heart", "love heart", "valentine"),
}
COLOUR_WORDS = {
    "red": ("red", "red", "scarlet", "crimson"),
    "orange": ("orange", "orange", "tangerine", "amber"),
    "yellow": ("yellow", "yellow", "golden", "lemon"),
    "green": ("green", "green", "emerald", "leafy green"),
    "blue": ("blue", "blue", "azure", "cobalt"),
    "purple": ("purple", "purple", "violet", "plum"),
    "pink": ("pink", "pink", "rosy", "salmon"),
    "white": ("white", "white", "ivory", "snowy"),
    "black": ("black", "black", "jet black", "inky"),
}
TEXTURE_WORDS = {
    "solid": ("solid", "plain", "unpatterned"),
    "striped": ("striped", "striped", "stripy"),
    "dotted": ("dotted", "spotty", "polka dot"),
    "checkered": ("checkered", "chequered", "checked"),
}
TEXTURE_TAILS = {
    "striped": ("with stripes", "covered in stripes"),
    "dotted": ("with dots", "covered in spots"),
    "checkered": ("with checks", "with a chessboard pattern"),
}
SIZE_WORDS = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium", "mid-sized"),
    "large": ("large", "big", "huge"),
}
GROUND_WORDS = {
    "grey": ("grey", "gray", "stone"),
    "sand": ("sandy", "beige", "tan"),
    "navy": ("navy", "dark blue", "midnight blue"),
    "teal": ("teal", "sea green", "turquoise"),
    "olive": ("olive", "khaki", "moss green"),
    "maroon": ("maroon", "burgundy", "wine red"),
    "lilac": ("lilac", "lavender", "pale purple"),
    "brown": ("brown", "chocolate", "chestnut"),
}
GROUND_TEXTURE_WORDS = {
    "plain": ("plain", "smooth"),
    "lined": ("lined", "streaked"),
    "spotted": ("spotted", "pocked"),
    "tiled": ("tiled", "squared"),
    "grainy": ("grainy", "noisy", "rough"),
}
GROUND_NOUNS = ("background", "ground", "backdrop", "surface", "wall")
OPENINGS = (
    "",
    "",
    "",
    "",
    "a picture of ",
    "an image with ",
    "there is ",
    "you can see ",
    "a drawing showing ",
    "here we have ",
)
LINKS = (" and ", " and ", " next to ", " with ", " together with ", ", also ")
RELATIONS = {
    "left": (" to the left of ", " left of ", " on the left side of "),
    "right": (" to the right of ", " right of ", " on the right side of "),
    "above": (" above ", " over ", " higher than "),
    "below": (" below ", " under ", " beneath "),
}
COUNT_WORDS = {2: ("two shapes", "a pair of shapes"), 3: ("three shapes", "three figures")}
_CLEAR_STEP = 14  # centres this far apart (64ths) are plainly left of or above each other


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def describe_thing(dice: Dice, thing: Thing, detailed: bool) -> str:
    """One noun phrase, for example "a small striped crimson disc"."""
    adjectives = []
    size_chance = 15 if thing.size == "medium" else 45
    if dice.chance(size_chance):
        adjectives.append(dice.pick(SIZE_WORDS[thing.size]))
    says_texture = detailed or dice.chance(15 if thing.texture == "solid" else 65)
    tail = ""
    if says_texture and thing.texture in TEXTURE_TAILS and dice.chance(30):
        tail = " " + dice.pick(TEXTURE_TAILS[thing.texture])
    elif says_texture:
        adjectives.append(dice.pick(TEXTURE_WORDS[thing.texture]))
    if detailed or dice.chance(94):
        adjectives.append(dice.pick(COLOUR_WORDS[thing.colour]))
    if dice.chance(20):
        adjectives.reverse()
    noun = dice.pick(SHAPE_WORDS[thing.shape]) if dice.chance(94) else "shape"
    return _with_article(" ".join([*adjectives, noun])) + tail


def relation_between(first: Thing, second: Thing) -> tuple[str, ...]:
    """The relations that plainly hold, among left, right, above, below; y grows downwards."""
    found = []
    if abs(first.x - second.x) >= _CLEAR_STEP:
        found.append("left" if first.x < second.x else "right")
    if abs(first.y - second.y) >= _CLEAR_STEP:
        found.append("above" if first.y < second.y else "below")
    return tuple(found)


def describe_ground(dice: Dice, scene: Scene) -> str:
    """For example "a grainy beige backdrop"."""
    words = [dice.pick(GROUND_WORDS[scene.ground_colour])]
    if dice.chance(40):
        words.insert(0, dice.pick(GROUND_TEXTURE_WORDS[scene.ground_texture]))
    return _with_article(" ".join([*words, dice.pick(GROUND_NOUNS)]))


def _describe_things(dice: Dice, things: list[Thing], detailed: bool) -> str:
    phrases = [describe_thing(dice, thing, detailed) for thing in things]
    text = phrases[0]
    for i in range(1, len(phrases)):
        relations = relation_between(things[i - 1], things[i])
        if relations and dice.chance(45):
            text += dice.pick(RELATIONS[dice.pick(relations)]) + phrases[i]
        elif i + 1 < len(phrases):
            text += ", " + phrases[i]
        else:
            text += dice.pick(LINKS) + phrases[i]
    return text


def caption_scene(dice: Dice, scene: Scene) -> str:
    """One caption; calling it again with the same dice gives another one."""
    things = dice.shuffled(scene.things)
    if dice.chance(12 if len(things) == 2 else 25):
        things = things[:-1]
    alone = len(things) == 1
    text = _describe_things(dice, things, detailed=alone)
    if alone or dice.chance(60):
        ground = describe_ground(dice, scene)
        if dice.chance(75):
            text += dice.pick((" on ", " on ", " against ", " in front of ")) + ground
        else:
            text = f"{ground} with {text}"
    elif len(things) == len(scene.things) and dice.chance(20):
        text = f"{dice.pick(COUNT_WORDS[len(things)])}: {text}"
    text = dice.pick(OPENINGS) + text
    if dice.chance(30):
        text = text[0].upper() + text[1:] + "."
    return text
