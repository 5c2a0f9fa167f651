"""Ordering of the program versions that infotext contains (PEP 440; spec prompts.md 8.5.7)."""

import re

VersionKey = tuple[object, ...]
"""Keys compare with `<` as PEP 440 orders the versions they were made from."""

_LONGEST = 100  # far beyond any version, and short of numbers that int() refuses
_DESCRIBED = re.compile(r"([^-]+-[^-]+)-.*", re.DOTALL)
_PEP440 = re.compile(
    r"""
    v? (?: (?P<epoch> \d+ ) ! )?
    (?P<release> \d+ (?: \. \d+ )* )
    (?: [-_.]? (?P<pre> alpha | a | beta | b | preview | pre | rc | c ) [-_.]? (?P<pre_n> \d* ) )?
    (?: - (?P<post> \d+ ) | [-_.]? (?: post | rev | r ) [-_.]? (?P<post_n> \d* ) )?
    (?: [-_.]? (?P<dev> dev ) [-_.]? (?P<dev_n> \d* ) )?
    (?: \+ (?P<local> [a-z0-9]+ (?: [-_.] [a-z0-9]+ )* ) )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def version_key(text: str) -> VersionKey | None:
    """A key to order versions by, or None if the text is no version.

    `git describe` texts such as `v1.7.0-225-g0123456` count as post-release 225 of 1.7.0.
    """
    if len(text) > _LONGEST:
        return None
    described = _DESCRIBED.fullmatch(text)
    match = _PEP440.fullmatch((described[1] if described else text).strip())
    if match is None:
        return None
    release = [int(number) for number in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    post = match["post"] if match["post"] is not None else match["post_n"]
    dev = int(match["dev_n"] or 0) if match["dev"] else None
    if match["pre"]:
        letter = {"alpha": "a", "beta": "b"}.get(match["pre"].lower(), match["pre"].lower())
        pre = (0, letter if letter in "ab" else "rc", int(match["pre_n"] or 0))
    elif post is None and dev is not None:
        pre = (-1, "", 0)  # a development release comes before any pre-release
    else:
        pre = (1, "", 0)
    return (
        int(match["epoch"] or 0),
        tuple(release),
        pre,
        -1 if post is None else int(post or 0),
        (1, 0) if dev is None else (0, dev),
        _local(match["local"]),
    )


def _local(text: str | None) -> tuple[tuple[int, int, str], ...]:
    parts = re.split(r"[-_.]", text.lower()) if text else []
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
