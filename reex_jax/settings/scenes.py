"""What won on held-out corruptions of scenes (experiments/tune_scenes.py) for the bundled model.

All else is the authors', and ReEx has its own defaults. Streams of 16 batches are short: at the
authors' 3e-4 no method moves image queries far enough.
"""

from reex_jax.settings.methods import (
    Deyo,
    Eata,
    Methods,
    PerQuery,
    Read,
    Rest,
    Sar,
    Shot,
    Tcr,
    Tent,
)

_CLIP = 0.29
"""The temperature of OpenAI's CLIP, 0.01, in units of the bundled model's, 0.0345."""

TUNED = Methods(
    tent=PerQuery(Tent(learning_rate=3e-3), Tent(learning_rate=3e-4)),
    eata=PerQuery(Eata(learning_rate=3e-3), Eata(learning_rate=1e-3, relative_temperature=_CLIP)),
    sar=PerQuery(Sar(learning_rate=3e-3), Sar(learning_rate=3e-4, relative_temperature=_CLIP)),
    shot=PerQuery(Shot(learning_rate=3e-2), Shot(learning_rate=1e-3)),
    read=PerQuery(
        Read(learning_rate=1e-3, relative_temperature=_CLIP),
        Read(learning_rate=1e-3, relative_temperature=_CLIP),
    ),
    deyo=PerQuery(Deyo(learning_rate=3e-3), Deyo(learning_rate=3e-4, relative_temperature=_CLIP)),
    tcr=PerQuery(Tcr(learning_rate=3e-2), Tcr(learning_rate=3e-4, relative_temperature=2 * _CLIP)),
    rest=PerQuery(
        Rest(learning_rate=3e-2), Rest(learning_rate=3e-4, relative_temperature=2 * _CLIP)
    ),
)
