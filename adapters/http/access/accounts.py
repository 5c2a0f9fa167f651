"""Who may call: users with passwords, and bearer tokens. Source: spec api.md 3, RFC 7617, RFC 6750.

A1111 knows the users of one flag. What its clients see of it is kept: the three reasons for a 401,
word by word. Tokens are ours.
"""

import binascii
import hmac
import secrets
from base64 import b64decode
from collections.abc import Iterable, Mapping

_DIGEST = "sha256"


class Denied(Exception):
    """These credentials let nobody in. `challenge` is what `WWW-Authenticate` is to say."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


class Accounts:
    """Everybody who may call. Holds digests under a key of this process alone, no secrets.

    Whatever is presented is digested whole, name and password together, and compared with every
    account in constant time: how long that takes tells neither whether the name exists nor how much
    of the password was right.
    """

    def __init__(self, users: Mapping[str, str] | None = None, tokens: Iterable[str] = ()) -> None:
        """`users` maps names to passwords. Without users and tokens everybody may call."""
        self._key = secrets.token_bytes(32)
        self._users = {self._digest(f"{n}:{p}"): n for n, p in (users or {}).items()}
        self._tokens = {self._digest(token): token_name(token) for token in tokens}
        schemes = ['Basic realm="hexfusion", charset="UTF-8"'] if self._users else []
        self._challenge = ", ".join([*schemes, *(["Bearer"] if self._tokens else [])])

    def __bool__(self) -> bool:
        """Whether anybody has to say who it is."""
        return bool(self._users or self._tokens)

    def who(self, authorization: str | None) -> str | None:
        """The name of whoever sends this `Authorization` header; None where nobody is asked.

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
        """`name:password` out of its base64. A1111 reads ASCII alone; UTF-8 holds that too."""
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
    """What a token is called in logs: enough to tell it from others, not enough to use it."""
    return "token-" + hmac.digest(b"hexfusion token name", token.encode(), _DIGEST).hex()[:8]


def parse_users(text: str) -> dict[str, str]:
    """Users of `name:password` entries between commas or line breaks; lines with `#` are comments.

    As in A1111 neither part can hold a colon or a comma. Raises `ValueError`, which never repeats
    a password.
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
    """Tokens, one a line; lines with `#` are comments. Raises `ValueError`."""
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
