"""English words that carry grammar rather than content.

Like EDA, we look for no synonyms of these: WordNet knows "a" as the angstrom and "in" as the inch.
"""

FUNCTION_WORDS = frozenset(
    " ".join(
        (
            # articles, demonstratives, quantifiers
            "a an the this that these those some any each every all both few more most much many",
            "other another such own same no none either neither",
            # pronouns and question words
            "i me my mine myself we us our ours ourselves you your yours yourself yourselves",
            "he him his himself she her hers herself it its itself they them their theirs",
            "themselves one ones what which who whom whose where when why how",
            # auxiliaries
            "am is are was were be been being have has had having do does did doing",
            "can could will would shall should may might must",
            # prepositions and particles
            "of at by for with about against between into through during before after above below",
            "to from up down in out on off over under onto upon near along around across behind",
            "beside besides beneath among within without toward towards inside outside",
            # conjunctions and adverbs of the same kind
            "and but if or nor because as until while than so then there here not only too very",
            "again further once just now also",
        )
    ).split()
)
