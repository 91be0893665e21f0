"""Splits a run over processes or hosts: each measures its own share into a folder of its own.

Nothing is exchanged, so that the processes need no network and may start at any time; the report
joins the folders.
"""

import re
from dataclasses import dataclass
from itertools import groupby

from reex_jax.errors import UserError
from reex_jax.queries.streams import Pass, Stream, list_passes, list_streams
from reex_jax.reporting.rows import StreamKey, stream_key
from reex_jax.settings.experiment import Experiment


@dataclass(frozen=True)
class Shard:
    """One of several equal shares.

    Attributes:
        number: which, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def suffix(self) -> str:
        """Behind the name of the run's folder."""
        return f"-shard-{self.number}-of-{self.of}"


def parse_shard(text: str) -> Shard | None:
    """The shard that "3/8" names; None for "".

    Raises:
        UserError: another text, or a number outside of 1 to the number of shards.
    """
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text.strip(), re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(
            f"--shard is {text!r:.40}; write the number of the share and how many there are, for "
            "example --shard=3/8, from --shard=1/8 to --shard=8/8"
        )
    return Shard(int(found[1]), int(found[2]))


def key_of(method: str, stream: Stream) -> StreamKey:
    """What tells the row of a method on a stream from all others."""
    return stream_key({"method": method} | vars(stream))


def list_work(experiment: Experiment) -> list[tuple[str, str, list[Pass]]]:
    """(method, direction, its passes) of a whole run, in the order in which they are measured."""
    passes = list_passes(list_streams(experiment), experiment.adapt.stream)
    names = dict.fromkeys(n for d in experiment.directions for n in experiment.measured(d))
    return [
        (name, direction, [one for one in passes if one.direction == direction])
        for name in names
        for direction in experiment.directions
        if name in experiment.measured(direction)
    ]


def list_keys(experiment: Experiment, shard: Shard | None = None) -> list[StreamKey]:
    """Every row of a run, or of its share, in the order of `list_work`.

    Passes are dealt out one after the other like cards, so that every share has some of each
    method and direction and all end at about the same time; passes that carry over stay together.
    """
    keys, number = [], 0
    for method, _, passes in list_work(experiment):
        for chain in _chains(passes):
            if shard is None or number % shard.of == shard.number - 1:
                keys += [key_of(method, stream) for one in chain for stream in one.streams]
            number += 1
    return keys


def _chains(passes: list[Pass]) -> list[list[Pass]]:
    """Passes, each with those that go on from where it ended."""
    begins = 0

    def chain(one: Pass) -> int:
        nonlocal begins
        begins += not one.carries_over
        return begins

    return [list(group) for _, group in groupby(passes, chain)]
