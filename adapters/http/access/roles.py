"""Administrators (`--api-admin`): who may change what all share; A1111 knows no roles.

Which operations are theirs is declared beside the route (`Operation.admin` in `documents`).
"""

from collections.abc import Collection
from dataclasses import dataclass

#: Path template and method of an operation: ("/sdapi/v1/options", "POST").
Route = tuple[str, str]


class AdminsOnly(Exception):
    """The caller is no administrator. `what` is what they may not do."""

    def __init__(self, user: str | None, what: str) -> None:
        super().__init__(f"{what} is for administrators (--api-admin), and {user} is none")


@dataclass(frozen=True)
class Admins:
    """The names of the administrators, None if `--api-admin` is not given; and what is theirs
    alone."""

    names: Collection[str] | None = None
    routes: Collection[Route] = ()

    def named(self, user: str | None) -> bool:
        """Whether this is an administrator by name: who may see and stop the jobs of all."""
        return self.names is not None and user in self.names

    def check(self, user: str | None, path: str, method: str) -> None:
        """Raises `AdminsOnly` for what is theirs, where any are named and this is none of them."""
        if self.names is None or user in self.names:
            return
        if (path, method) in self.routes:
            raise AdminsOnly(user, f"{method} {path}")


def parse_names(text: str, accounts: Collection[str]) -> frozenset[str]:
    """Parse `name,name`. Raises `ValueError` unless each is one of the accounts' names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError("names nobody")
    if strangers := [name for name in names if name not in accounts]:
        known = ", ".join(sorted(accounts)) or "none, since nobody has to log in"
        raise ValueError(f"{strangers[0]!r} is no account; accounts are: {known}")
    return frozenset(names)
