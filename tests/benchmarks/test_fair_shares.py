"""How shares and growth are reckoned; a reduced run of the whole."""

import pytest

from benchmarks.fair_shares import User, Worked, by_minute, growth, main, slot_seconds

ANN, BOB = User("ann", 2, 6, 1000), User("bob", 1, 2, 2000)


def test_slot_seconds_are_those_between_the_two_moments():
    worked = [
        Worked(1001, 5.0, 12.0),
        Worked(2000, 10.0, 11.0),
        Worked(1000, 18.0, 30.0),
        Worked(3000, 10.0, 20.0),  # root's
        Worked(2001, 25.0, 26.0),
    ]
    assert slot_seconds(worked, [ANN, BOB], 10.0, 20.0) == {"ann": 4.0, "bob": 1.0}


def test_growth_is_that_after_the_first_minute():
    samples = [(float(second), 100 if second < 60 else 200) for second in range(0, 300, 5)]
    assert growth(samples) == 0.0
    samples[-6:] = [(when, 210) for when, _ in samples[-6:]]
    assert growth(samples) == pytest.approx(0.05)
    assert by_minute([(0.0, 2**20), (59.0, 3 * 2**20), (60.0, 2**20)]) == [2.0, 1.0]


@pytest.mark.slow
def test_a_reduced_run(capsys):
    main(["--minutes", "0.2", "--seeds", "1"])
    told = capsys.readouterr().out
    assert "held: wrong pictures: 0" in told
    assert "held: ann's share" in told
