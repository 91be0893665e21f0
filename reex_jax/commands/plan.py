"""Says what goes where on a device, whether it fits, and what a batch costs.

python -m reex_jax.plan --plan.items=10000000 --plan.storage=bfloat16 --plan.layout=split
"""

from reex_jax.adaptation.planning import Plan, make_plan
from reex_jax.commands.arguments import Arguments
from reex_jax.models.load import load_model
from reex_jax.settings.planning import Planning


def plan(arguments: Arguments) -> None:
    """The command: prints the plan.

    Raises:
        UserError: a checkpoint that is not there, or devices that cannot share the batch.
    """
    settings = arguments.settings
    model = load_model(settings.checkpoint, batch_size=settings.batch_size)
    print(described(make_plan(model, settings), settings, settings.width or model.dim))


def described(found: Plan, settings: Planning, width: int) -> str:
    """The plan as text."""
    many = settings.devices > 1
    lines = [
        f"{settings.items:,} items x {width} in {settings.storage}, {settings.layout}; "
        f"{settings.method}, {settings.query} queries, {settings.batch_size} a batch, "
        f"{settings.devices} device{'s' if many else ''}",
        f"on {'each' if many else 'the'} device:",
        *(
            f"  {name:8} {size / 1e9:9.3f} GB  {what}"
            for name, size, what in (
                ("weights", found.weights, "of the query's tower"),
                ("state", found.state, "what learning changes"),
                ("gallery", found.gallery, "its rows"),
                ("vectors", found.vectors, "one number for each item, twice"),
                ("work", found.work, "of the step, by XLA on this machine"),
                ("total", found.total, f"of {found.capacity / 1e9:.3f} GB"),
            )
        ),
        "it fits" if found.fits else "it does not fit: " + _advice(found, settings),
        f"a batch takes about {found.batch_s:.3g} s on a device like this machine's first",
    ]
    return "\n".join(lines)


def _advice(found: Plan, settings: Planning) -> str:
    if found.weights + found.state + found.work > found.capacity:
        return "take a smaller batch_size, or a larger device"
    if settings.layout == "copied" and settings.devices > 1:
        return "take layout=split"
    if settings.storage == "float32":
        return "take storage=bfloat16, or split the gallery over more devices"
    return "split the gallery over more devices"
