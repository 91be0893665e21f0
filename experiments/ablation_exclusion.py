"""What ReEx's exclusion sets are worth: their size, their candidates, and who learns from them.

    python -m reex_jax.ablation --config=experiments/ablation_exclusion.py

Every variant is `reex` with one part changed: the size k of the plausible set (what lies outside
is excluded; "off" makes all other candidates negatives), the candidates (proxies of the batch, or
the gallery, and which of them are excluded), what confident queries minimise, and the split
(confident queries, ambiguous ones, both, or none: then only TCR's two terms are left). A value that
equals the default is shown, but not measured twice.

Writes ablation.csv, .md and .png and table.md to results/ablation_exclusion/<run id>/; started
again after an interruption, it goes on. 28 minutes on one core beside other work (20 methods, 9
streams of 500 queries); --config.runlocal=True takes a minute: 50 images, one variant of each part.
"""

from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment, Variant
from reex_jax.settings.methods import Methods, PerQuery, Reex


def variant(group: str, value: str, label: str, **changes: object) -> Variant:
    """ReEx with some settings changed."""
    return Variant(f"{group}={value}", "reex", changes, group, label)


def candidates(pool: str, m: int) -> tuple[Variant, ...]:
    """Other candidates, of which all that are implausible are excluded, or m of them."""
    found = [variant("candidates", f"{pool} all", f"{pool}, all outside top k", pool=pool)]
    for which in ("next", "bottom", "random"):
        changes = {"pool": pool, "strategy": f"{which}_m", "m": m}
        found.append(variant("candidates", f"{pool} {which}_m", f"{pool}, {which} {m}", **changes))
    return tuple(found)


SIZES = {k: str(k) for k in (1, 2, 5, 10, 20, 50, 100)} | {0: "off"}
SPLITS = {"both": "both", "confident": "confident only", "ambiguous": "ambiguous only"}
VARIANTS = (
    *(variant("k", name, name, k=k) for k, name in SIZES.items()),
    # A batch of 64 has at most 63 candidates to exclude: choosing 50 of them would change little.
    *candidates("batch", 16),
    *candidates("gallery", 50),
    *(variant("commit", commit, commit, commit=commit) for commit in ("proxy", "entropy")),
    *(variant("split", s, label, split=s) for s, label in (SPLITS | {"none": "neither"}).items()),
)


def get_config() -> Experiment:
    """What differs from the default."""
    return Experiment(
        name="ablation_exclusion",
        method=("none", "reex", *(variant.name for variant in VARIANTS)),
        variants=VARIANTS,
        corruptions=Corruptions(False, ("gaussian_noise", "motion_blur"), ("keyboard",)),
        seeds=(0, 1, 2),
        max_queries=500,  # so that the whole stays far below 30 minutes on two cores
        settings=Methods(reex=PerQuery(Reex(learning_rate=3e-2), Reex())),  # as in scenes_c.py
    )
