"""`--api-rate`: ours, A1111 has no limit."""

import threading

import pytest

from hexfusion.adapters.http.access.rate_limit import (
    Rate,
    RateLimit,
    TooManyRequests,
    client_of,
    parse_rate,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(limit: RateLimit, client: str = "x") -> int:
    """Seconds to wait; 0 if the request is allowed."""
    try:
        limit.count(client)
    except TooManyRequests as error:
        return error.retry_after
    return 0


def test_all_at_once_and_then_as_they_come_back() -> None:
    limit = RateLimit(Rate(6, 60), clock := Clock())
    assert [refused(limit) for _ in range(8)] == [0] * 6 + [10, 10]
    clock.now += 9.5
    assert refused(limit) == 1
    clock.now += 0.5
    assert [refused(limit), refused(limit)] == [0, 10]
    clock.now += 10_000
    assert [refused(limit) for _ in range(7)] == [0] * 6 + [10]


def test_what_it_says_to_wait_is_enough() -> None:
    limit = RateLimit(Rate(7, 60), clock := Clock())
    for _ in range(50):
        if wait := refused(limit):
            clock.now += wait
            assert refused(limit) == 0


def test_clients_do_not_notice_each_other() -> None:
    limit = RateLimit(Rate(1, 60), Clock())
    assert [refused(limit, "a"), refused(limit, "b"), refused(limit, "a")] == [0, 0, 60]


def test_remembers_so_many_and_forgets_who_was_seen_longest_ago() -> None:
    limit = RateLimit(Rate(1, 60), Clock(), remembered=100)
    for number in range(10_000):
        refused(limit, f"client {number}")
        assert refused(limit, f"client {number}")
        assert refused(limit, "client 0")  # never away for long, so never forgotten
    assert len(limit._buckets) == 100


def test_threads_together_get_no_more() -> None:
    limit = RateLimit(Rate(100, 3600), Clock())
    answers: list[int] = []

    def ask() -> None:
        answers.extend(refused(limit) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(0) == 100


@pytest.mark.parametrize(
    ("text", "rate"),
    [("60/m", Rate(60, 60)), (" 1/s", Rate(1, 1)), ("5000/h", Rate(5000, 3600))],
)
def test_reads_a_rate(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "60", "0/m", "-1/m", "1.5/s", "60/d", "60/", "/m", "60 / m"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="as in 60/m"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("localhost", "localhost"),
    ],
)
def test_an_ipv6_household_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client
