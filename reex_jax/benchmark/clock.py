"""How long a run takes: a guess before it starts, better with every pass that ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Group = tuple[str, str]
"""A method and a direction: passes of one group take about as long for a query."""

COMPILE_S = 8.0
"""Seconds to compile one group's step, until a run shows better."""


@dataclass
class Clock:
    """Foretells what is left.

    Attributes:
        queries: group -> queries not asked yet.
        costs: group -> its seconds for a query in units of any other group's; guessed.
        seconds: group -> measured seconds for a query, in the latest pass.
    """

    queries: dict[Group, int]
    costs: Mapping[Group, float]
    seconds: dict[Group, float] = field(default_factory=dict)

    def known(self, group: Group, seconds_per_query: float) -> None:
        """Takes a rate that was measured: by a pass, an earlier run, or a trial.

        That of a trial stands under a group without a name, of cost 1.
        """
        self.seconds[group] = seconds_per_query

    def asked(self, group: Group, queries: int) -> None:
        """So many queries of a group are done."""
        self.queries[group] = max(0, self.queries[group] - queries)

    def left(self) -> float | None:
        """Seconds until the end; None while nothing was measured.

        A group that was never measured is taken to cost as much more than the measured ones of its
        direction (of any, if there are none) as `costs` says, and its compilation.
        """
        if not self.seconds:
            return None
        total = 0.0
        for group, queries in self.queries.items():
            if queries and group in self.seconds:
                total += queries * self.seconds[group]
            elif queries:
                total += queries * self.costs[group] * self._unit(group[1]) + COMPILE_S
        return total

    def _unit(self, direction: str) -> float:
        """Seconds for a query of cost 1."""
        own = [group for group in self.seconds if group[1] == direction] or list(self.seconds)
        return sum(self.seconds[g] / self.costs.get(g, 1.0) for g in own) / len(own)


def guessed_cost(learns: bool, steps: int, fuses: bool) -> float:
    """Of one query, where one forward pass is 1: a step costs three, fused queries twice as much.

    The source's own pass comes on top of the steps.
    """
    return (1.0 + 3.0 * steps * learns) * (2.0 if fuses else 1.0)


def spoken(seconds: float) -> str:
    """About how long, as people say it: "40 s", "12 min", "1 h 25 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def total_queries(groups: Iterable[tuple[Group, int]]) -> dict[Group, int]:
    """The sum of each group."""
    found: dict[Group, int] = {}
    for group, queries in groups:
        found[group] = found.get(group, 0) + queries
    return found
