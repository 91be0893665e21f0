"""Names that the maker and the reader of `wordnet/` share."""

SYNSETS = "synsets.txt"
EXCEPTIONS = "exceptions.txt"
PARTS_OF_SPEECH = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
"""The letter in our files -> the name in WordNet's."""
