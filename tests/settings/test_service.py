"""Settings of the service: what is refused, and when a token is needed."""

import pytest

from reex_jax.errors import UserError
from reex_jax.settings.service import Service, is_loopback


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_loopback(host, own):
    assert is_loopback(host) == own


def test_others_need_a_token():
    Service().check_token("")
    Service(host="0.0.0.0").check_token("secret")
    Service(host="0.0.0.0", without_token=True).check_token("")
    with pytest.raises(UserError, match="REEX_TOKEN"):
        Service(host="0.0.0.0").check_token("")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"batch_sizes": (8, 1)}, r"\(1, 8\)"),
        ({"port": 70000}, "port"),
        ({"methods": ("rex",)}, "did you mean 'reex'"),
        ({"methods": ("none",)}, "none"),
        ({"limits": {"k": 0}}, "limits.k"),
        ({"learning": {"where": "moon"}}, "learning.where"),
        ({"gsr": {"rewriter": "openai"}}, "gsr.model"),
    ],
)
def test_impossible_values_are_refused(values, said):
    with pytest.raises(UserError, match=said):
        Service.from_dict(values, "serve.")
