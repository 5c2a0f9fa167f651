"""Authentication: users with passwords (HTTP Basic), and bearer tokens.

Source: spec api.md 3, RFC 7617, RFC 6750. The three messages of a 401 are A1111's, word for word;
tokens are an addition.
"""

import binascii
import hmac
import secrets
from base64 import b64decode
from collections.abc import Iterable, Mapping

_DIGEST = "sha256"


class Denied(Exception):
    """Missing or wrong credentials. `challenge` is the value for `WWW-Authenticate`."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


class Accounts:
    """The accounts that may call. Stores keyed digests (the key is random per process), no secrets.

    Credentials are digested as a whole, name and password together, and compared with every account
    in constant time: the duration reveals neither whether the name exists nor how much of the
    password is right.
    """

    def __init__(self, users: Mapping[str, str] | None = None, tokens: Iterable[str] = ()) -> None:
        """`users` maps names to passwords. Without users and tokens no credentials are required."""
        self._key = secrets.token_bytes(32)
        self._users = {self._digest(f"{n}:{p}"): n for n, p in (users or {}).items()}
        self._tokens = {self._digest(token): token_name(token) for token in tokens}
        schemes = ['Basic realm="hexfusion", charset="UTF-8"'] if self._users else []
        self._challenge = ", ".join([*schemes, *(["Bearer"] if self._tokens else [])])

    def __bool__(self) -> bool:
        """Whether credentials are required."""
        return bool(self._users or self._tokens)

    @property
    def names(self) -> frozenset[str]:
        """The names of all users and tokens."""
        return frozenset([*self._users.values(), *self._tokens.values()])

    def who(self, authorization: str | None) -> str | None:
        """The name of the caller with this `Authorization` header; None if none is required.

        Raises `Denied`.
        """
        if not self:
            return None
        scheme, _, credentials = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic" if self._users:
                known, presented = self._users, self._pair(credentials)
                reason = "Incorrect username or password"
            case "bearer" if self._tokens:
                known, presented = self._tokens, credentials.strip()
                reason = "Invalid authentication credentials"
            case _:
                raise Denied("Not authenticated", self._challenge)
        digest = self._digest(presented)
        found = [name for each, name in known.items() if hmac.compare_digest(each, digest)]
        if not found:
            raise Denied(reason, self._challenge)
        return found[0]

    def _pair(self, credentials: str) -> str:
        """Decode `name:password` from base64. UTF-8; A1111 accepts ASCII only."""
        try:
            pair = b64decode(credentials).decode("utf-8")
        except (binascii.Error, ValueError):
            pair = ""
        if ":" not in pair:
            raise Denied("Invalid authentication credentials", self._challenge)
        return pair

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8", "surrogateescape"), _DIGEST)


def token_name(token: str) -> str:
    """The name of a token in logs: a digest that identifies it without revealing it."""
    return "token-" + hmac.digest(b"hexfusion token name", token.encode(), _DIGEST).hex()[:8]


def parse_users(text: str) -> dict[str, str]:
    """Parse `name:password` entries, separated by commas or line breaks; `#` starts a comment line.

    As in A1111 neither part can contain a colon or a comma. Raises `ValueError`, whose message
    never contains a password.
    """
    entries = [entry.strip() for line in _lines(text) for entry in line.split(",") if entry.strip()]
    users: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        name, _, password = entry.partition(":")
        if not (name and password) or ":" in password:
            raise ValueError(f"entry {number} is not user:password")
        if name in users:
            raise ValueError(f"user {name!r} is there twice")
        users[name] = password
    if not users:
        raise ValueError("names nobody")
    return users


def parse_tokens(text: str) -> list[str]:
    """Parse tokens, one per line; `#` starts a comment line. Raises `ValueError`."""
    tokens = _lines(text)
    for number, token in enumerate(tokens, 1):
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError(f"token {number} has characters that no header can carry")
    if not tokens:
        raise ValueError("holds no token")
    return tokens


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
