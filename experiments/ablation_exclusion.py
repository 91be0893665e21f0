"""What ReEx's exclusion sets are worth: their size, their candidates, and who learns from them.

    python -m reex_jax.ablation --config=experiments/ablation_exclusion.py

Every variant is `reex` with one part changed: the size k of the plausible set (what lies outside
is excluded; "off" makes all other candidates negatives), the candidates (proxies of the batch, or
the gallery, and which of them are excluded), the memory of recent candidates, calibration inside
the loss, the quantile of queries that commit to their proxy, and who learns by exclusion (all, or
nobody: then only uniformity is left). The default is shown, but not measured twice.

Writes ablation.csv, .md and .png and table.md to results/ablation_exclusion/<run id>/; started
again after an interruption, it goes on. 28 minutes on one core beside other work (20 methods, 9
streams of 500 queries); --config.runlocal=True takes a minute: 50 images, one variant of each part.
"""

from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.experiment import Experiment, Variant


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
VARIANTS = (
    *(variant("k", name, name, k=k) for k, name in SIZES.items()),
    # A batch of 64 has at most 63 candidates to exclude: choosing 50 of them would change little.
    *candidates("batch", 16),
    *candidates("gallery", 50),
    *(variant("memory", str(size), str(size), memory=size) for size in (0, 56, 256)),
    *(variant("calibrated", str(on), str(on), calibrated=on) for on in (True, False)),
    *(variant("quantile", f"{q:g}", f"{q:g}", quantile=q) for q in (0.0, 0.5, 0.8)),
    variant("who learns", "all", "all"),
    variant("who learns", "nobody", "nobody: uniformity alone", split="none"),
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
    )
