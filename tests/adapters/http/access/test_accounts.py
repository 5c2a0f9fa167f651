"""Users, passwords and tokens: spec api.md 3."""

import hmac
import pickle
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.adapters.http.access.accounts import (
    Accounts,
    Denied,
    parse_tokens,
    parse_users,
    token_name,
)

USERS = Accounts({"user": "pass", "u2": "p2"})
BOTH = Accounts({"user": "pass"}, ["a-long-token", "another"])


def basic(text: str, encoding: str = "utf-8") -> str:
    return "Basic " + b64encode(text.encode(encoding)).decode()


def reason(accounts: Accounts, header: str | None) -> str:
    with pytest.raises(Denied) as denied:
        accounts.who(header)
    return str(denied.value)


@pytest.mark.parametrize("header", [None, "", "Basic ", "Basic x", "Bearer x", "nonsense"])
def test_without_accounts_nobody_is_asked(header: str | None) -> None:
    """Some clients send an empty `Authorization: Basic ` always."""
    assert not Accounts()
    assert Accounts().who(header) is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (basic("user:pass"), "user"),
        (basic("u2:p2"), "u2"),
        ("bAsIc " + b64encode(b"user:pass").decode(), "user"),
    ],
)
def test_users_come_in_by_name_and_password(header: str, name: str) -> None:
    assert USERS.who(header) == name


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer x", "Bearer pass", "Digest x", basic("user:pass").removeprefix("Basic ")],
)
def test_no_credentials_or_of_another_kind(header: str | None) -> None:
    assert reason(USERS, header) == "Not authenticated"


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic !!!", "Basic dXNlcg==", "Basic a", "Basic \xe9", "Basic gA=="],
)
def test_credentials_that_spell_no_pair(header: str) -> None:
    assert reason(USERS, header) == "Invalid authentication credentials"


@pytest.mark.parametrize(
    "pair",
    [
        "user:nope", "nobody:pass", "user:", ":pass", ":", "user:pass ", "user:passx", "USER:pass",
        "u2:pass", "user:p2", "user:pass:", "user:pa", "user:päss", "\ud800".join(("user", ":")),
    ],
)  # fmt: skip
def test_one_reason_whatever_was_wrong(pair: str) -> None:
    header = "Basic " + b64encode(pair.encode("utf-8", "replace")).decode()
    assert reason(USERS, header) == "Incorrect username or password"


def test_a_password_may_have_letters_beyond_ascii() -> None:
    """A1111 lets nobody in with one."""
    assert Accounts({"zoë": "päss"}).who(basic("zoë:päss")) == "zoë"


def test_tokens_come_in_by_a_name_that_does_not_tell_them() -> None:
    name = BOTH.who("Bearer a-long-token")
    assert name == token_name("a-long-token") != BOTH.who("bearer  another")
    assert name and "long" not in name
    assert BOTH.who(basic("user:pass")) == "user"


@pytest.mark.parametrize("token", ["", "nope", "a-long-toke", "a-long-tokenx", "user:pass", "\xe9"])
def test_wrong_tokens(token: str) -> None:
    assert reason(BOTH, f"Bearer {token}") == "Invalid authentication credentials"


def test_a_token_is_no_password_and_a_password_no_token() -> None:
    assert reason(BOTH, basic("a-long-token:a-long-token")) == "Incorrect username or password"
    assert reason(Accounts({}, ["t"]), basic("user:pass")) == "Not authenticated"


@pytest.mark.parametrize(
    ("accounts", "challenge"),
    [
        (USERS, 'Basic realm="hexfusion", charset="UTF-8"'),
        (BOTH, 'Basic realm="hexfusion", charset="UTF-8", Bearer'),
        (Accounts({}, ["t"]), "Bearer"),
    ],
)
def test_says_what_would_let_one_in(accounts: Accounts, challenge: str) -> None:
    with pytest.raises(Denied) as denied:
        accounts.who(None)
    assert denied.value.challenge == challenge


def test_keeps_no_secret() -> None:
    held = pickle.dumps(vars(BOTH))
    for secret in (b"pass", b"long-token", b"another"):
        assert secret not in held


@pytest.mark.parametrize("pair", ["user:pass", "user:nope", "nobody:pass"])
def test_every_account_is_compared_and_each_in_constant_time(monkeypatch, pair: str) -> None:
    """No wrong guess is answered sooner than another, since each takes the same steps."""
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    try:
        USERS.who(basic(pair))
    except Denied:
        assert pair != "user:pass"
    assert compared == [(32, 32)] * 2


def test_users_of_a_flag_and_of_a_file() -> None:
    assert parse_users("a:b") == {"a": "b"}
    assert parse_users("a:b,c:d") == {"a": "b", "c": "d"}
    assert parse_users("# who may\n a:b , c:d,\n\ne:f\r\n") == {"a": "b", "c": "d", "e": "f"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names nobody"),
        ("# a:b", "names nobody"),
        ("a", "entry 1 is not user:password"),
        ("a:b,hunter2", "entry 2 is not user:password"),
        ("a:", "entry 1 is not user:password"),
        (":b", "entry 1 is not user:password"),
        ("a:b:hunter2", "entry 1 is not user:password"),
        ("a:b,a:c", "user 'a' is there twice"),
    ],
)
def test_what_is_no_list_of_users(text: str, message: str) -> None:
    """A1111 refuses to start as well where an entry has not two parts."""
    with pytest.raises(ValueError) as refused:
        parse_users(text)
    assert str(refused.value) == message


def test_tokens_of_a_file() -> None:
    assert parse_tokens("# mine\nabc\n\n  def,:=  \n") == ["abc", "def,:="]


@pytest.mark.parametrize("text", ["", "#x", "a b", "é", "ok\na\tb"])
def test_what_is_no_list_of_tokens(text: str) -> None:
    with pytest.raises(ValueError):
        parse_tokens(text)


WORD = st.text(
    st.characters(exclude_characters=":,#\x85\u2028\u2029", exclude_categories=["Z", "C"])
)


@settings(max_examples=50)
@given(st.dictionaries(WORD.filter(bool), WORD.filter(bool), min_size=1, max_size=4))
def test_whoever_is_listed_is_let_in_and_no_other(users: dict[str, str]) -> None:
    accounts = Accounts(parse_users(",".join(f"{n}:{p}" for n, p in users.items())))
    for name, password in users.items():
        assert accounts.who(basic(f"{name}:{password}")) == name
        assert reason(accounts, basic(f"{name}:{password}x")) == "Incorrect username or password"
