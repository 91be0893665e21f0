"""How searches are served: `serve.*`."""

import ipaddress
from dataclasses import dataclass

from reex_jax.errors import UserError
from reex_jax.settings.checks import (
    filled,
    flag,
    integer,
    integers,
    number,
    one_of,
    path,
    some_of,
    text,
)
from reex_jax.settings.choices import FUSION_NAMES, PARAMETERS, PRECISIONS
from reex_jax.settings.fields import Settings, section, setting
from reex_jax.settings.methods import METHODS, Methods
from reex_jax.settings.ranking import Ranking
from reex_jax.settings.repair import RepairSettings
from reex_jax.settings.search import EXACT, Search

LEARNERS = ("auto", "process", "thread")
UNADAPTED = "none"
_LEARNING = tuple(name for name in METHODS if name != UNADAPTED)
TOKEN_VARIABLE = "REEX_TOKEN"
"""The environment variable that holds the bearer token; nothing else may."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Limits(Settings):
    """What a request may cost: `serve.limits.*`."""

    k: int = setting(100, "largest number of results", integer(1, 1000))
    text: int = setting(1000, "characters of a query", integer(1, 100_000))
    upload_mb: float = setting(10.0, "megabytes of a picture", number(0, 1000, above=True))
    pixels: int = setting(25_000_000, "of a picture, in all", integer(1))
    queue: int = setting(128, "requests under way; more are refused with 503", integer(1, 100_000))
    uploads: int = setting(8, "pictures received at once; more are refused", integer(1, 1000))
    read_s: float = setting(10.0, "seconds in which a request must arrive", number(0, 600))
    answer_s: float = setting(10.0, "seconds after which a request is given up", number(0, 600))


@dataclass(frozen=True)
class Learning(Settings):
    """How the service learns, off the path of answers: `serve.learning.*`."""

    on: bool = setting(True, "whether it learns at all", flag)
    where: str = setting(
        "auto",
        "a process of its own (low priority), or a thread; auto: a process on CPUs",
        one_of(LEARNERS),
    )
    niceness: int = setting(10, "of that process: how far it gives way to answers", integer(0, 19))
    batch_size: int = setting(64, "most queries that it learns from together", integer(1, 4096))
    wait_s: float = setting(1.0, "seconds that it waits for more of them", number(0, 3600))
    backlog: int = setting(4, "batches that may wait for it; older ones are left out", integer(1))
    steps: int = setting(3, "updates for each batch", integer(1, 1000))
    image_parameters: str = setting(
        "layer_norms", "what adapts for image queries", one_of(PARAMETERS)
    )
    text_parameters: str = setting(
        "block_layer_norms", "what adapts for text queries", one_of(PARAMETERS)
    )


@dataclass(frozen=True)
class Service(Settings):
    """`serve.*`: what `python -m reex_jax serve` takes beside the index."""

    host: str = setting("127.0.0.1", "address; beyond this machine it needs a token", filled)
    port: int = setting(8000, "0 takes any that is free", integer(0, 65535))
    hosts: str = setting(
        "", "names that it may be called by, beside this machine's own; a comma between", text
    )
    without_token: bool = setting(
        False, f"whether others may search without a token (${TOKEN_VARIABLE})", flag
    )
    model: str = setting("", "another place of the index's model; '' where it was", path)
    precision: str = setting("auto", "of matrix products", one_of(PRECISIONS))
    methods: tuple[str, ...] = setting(
        ("reex",), "that requests may choose, the first without a choice", some_of(_LEARNING, True)
    )
    fusion: str = setting("dynamic", "rule that mixes query and repair", one_of(FUSION_NAMES))
    batch_sizes: tuple[int, ...] = setting(
        (1, 4, 8, 16, 32), "rows that steps are padded to", integers(1, 4096)
    )
    candidates: int = setting(
        200, "items of a query that search.backend names; exact looks at all", integer(1, 4096)
    )
    state: str = setting("", "folder of what was learned; '' for INDEX-state", path)
    save_minutes: float = setting(5.0, "between two saves of it; 0: only at the end", number(0))
    confident_share: float = setting(
        0.5, "of recent queries, by entropy, that count as confident", number(0, 1)
    )
    noise: bool = setting(False, "whether requests may ask for a damaged query, to try it", flag)
    log_requests: bool = setting(False, "a line for each request, without its content", flag)
    limits: Limits = section(Limits, "what a request may cost")
    learning: Learning = section(Learning, "how it learns")
    search: Search = section(Search, "what finds the nearest items")
    ranking: Ranking = section(Ranking, "how ranking corrects for hubs")
    gsr: RepairSettings = section(
        lambda: RepairSettings(rewriter="channel"), "what repairs text queries"
    )
    settings: Methods = section(Methods, "of each method")

    def check_together(self) -> None:
        """Refuses batch sizes out of order, and searches that could not be done so."""
        if list(self.batch_sizes) != sorted(self.batch_sizes):
            raise UserError(
                f"batch_sizes is {self.batch_sizes}; write them in rising order, for example "
                f"{tuple(sorted(self.batch_sizes))}"
            )

        if self.search.backend == EXACT and self.search.devices:
            raise UserError(
                f"search.devices is {self.search.devices}, but the service searches exactly on one "
                "device; leave it 0"
            )
        if self.search.backend != EXACT and self.candidates < self.limits.k:
            raise UserError(
                f"candidates is {self.candidates}, but limits.k lets requests ask for "
                f"{self.limits.k} results; set candidates to at least that, or limits.k lower"
            )

    def check_token(self, token: str) -> None:
        """Refuses an open door: others could search, and change what was learned.

        Raises:
            UserError: the address is not only this machine's, and there is no token.
        """
        if not (token or self.without_token or is_loopback(self.host)):
            raise UserError(
                f"host is {self.host!r}, which others reach, and there is no token; set "
                f"{TOKEN_VARIABLE} in the environment, or serve.without_token=true where a proxy "
                "asks for one"
            )
