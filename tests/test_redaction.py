"""What messages and files may show of addresses."""

import pytest

from reex_jax.redaction import redacted, without_secrets


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("https://me:secret@host:1/v1", "https://***@host:1/v1"),
        ("https://token4711@host/v1", "https://***@host/v1"),
        ("https://me:p/w@host/v1", "https://***@host/v1"),
        ("https://host/v1?key=sk-4711&version=2", "https://host/v1?key=***&version=***"),
        ("https://host/v1?4711", "https://host/v1?***"),
        ("https://host/v1#4711", "https://host/v1#***"),
        ("https://host/sk-abcdef123/v1", "https://host/***/v1"),
        ("socks5://me:secret@host:1080", "socks5://***@host:1080"),
        ("--a=1 --config.gsr.base_url=https://me:pw@host/v1 --b", "--a=1 --config.gsr.base_url="
         "https://***@host/v1 --b"),
        ("no address: a@b?c=d", "no address: a@b?c=d"),
        ("", ""),
    ],
)  # fmt: skip
def test_addresses(given, shown):
    assert redacted(given) == shown
    assert redacted(shown) == shown


def test_secrets_in_a_text():
    text = "Incorrect API key provided: sk-4711-0815, EMPTY"
    assert without_secrets(text, ("sk-4711-0815", "EMPTY", "")) == (
        "Incorrect API key provided: ***, EMPTY"
    )
