"""What an adapter is made of."""

from typing import NamedTuple

from reex_jax.adaptation.encoder import Constants, QueryEncoder
from reex_jax.adaptation.objective import Objective
from reex_jax.settings.adaptation import AdaptSettings
from reex_jax.settings.ranking import Ranking


class Parts(NamedTuple):
    """What an adapter is made of, for what adapts with the same method in another way.

    Attributes:
        objective: the method.
        encoder: of the queries.
        settings: of the updates.
        ranking: how ranking corrects for hubs.
        constants: before they are replicated.
        replicated: the constants on the adapter's devices.
    """

    objective: Objective
    encoder: QueryEncoder
    settings: AdaptSettings
    ranking: Ranking
    constants: Constants
    replicated: Constants
