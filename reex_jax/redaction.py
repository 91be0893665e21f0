"""Addresses as messages and files may show them: without passwords and keys."""

import re

HIDDEN = "***"
SHORTEST = 6
"""Characters of a secret; what is shorter stands for none ("EMPTY", "none")."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s'\"<>]+")
# What looks like a key, wherever it stands in an address.
_KEY = re.compile(r"(?:sk|pk|rk|gsk|hf|key|token)[-_][A-Za-z0-9_-]{6,}|[A-Za-z0-9_-]{32,}")


def redacted(text: str) -> str:
    """A text whose addresses lack what may be secret.

    That is the user and password, the values of queries (`?key=...`), fragments, and parts of
    paths that look like keys: `https://***@host/v1?key=***`. Fit for one address, a message or an
    option of a command line.
    """
    return _ADDRESS.sub(lambda match: _redacted(match.group()), text)


def _redacted(address: str) -> str:
    scheme, _, rest = address.partition("://")
    rest, _, fragment = rest.partition("#")
    rest, question, query = rest.partition("?")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if "@" in path and not at:  # a password with a slash in it
        path, slash, at, host = "", "", "@", path.rpartition("@")[2]
    query = re.sub(r"(^|&)([^=&]*=)?[^&]*", rf"\1\2{HIDDEN}", query) if query else ""
    place = f"{HIDDEN}@{host}" if user or at else host
    end = f"#{HIDDEN}" if fragment else ""
    return f"{scheme}://{place}{slash}{_KEY.sub(HIDDEN, path)}{question}{query}{end}"


def without_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """A text without these secrets, for example one in which a server echoes a key.

    Args:
        text: any.
        secrets: what must not be shown; those below `SHORTEST` characters are none.
    """
    for secret in secrets:
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text
