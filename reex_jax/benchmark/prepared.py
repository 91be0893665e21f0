"""What all passes of a run share."""

from dataclasses import dataclass

from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.gsr.repairs import Repairs
from reex_jax.models.two_tower import TwoTower
from reex_jax.queries.kept import KeptPixels
from reex_jax.queries.own import QuerySource
from reex_jax.reporting.run_folder import RunFolder
from reex_jax.retrieval.gallery import Gallery
from reex_jax.settings.experiment import Experiment


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data, model and results folder of a run, read and checked.

    Attributes:
        experiment: every value of the run.
        model: the source model.
        data: what is searched.
        source: makes the queries.
        galleries: of each direction that is measured.
        folder: of the results.
        repairs: of all text queries, if some are repaired.
        kept: prepared images, for all methods.
    """

    experiment: Experiment
    model: TwoTower
    data: RetrievalSet
    source: QuerySource
    galleries: dict[str, Gallery]
    folder: RunFolder
    repairs: Repairs | None = None
    kept: KeptPixels | None = None
