"""Progress arithmetic (spec api.md 11.2)."""

import pytest

from hexfusion.domain.progress import Progress


def test_idle_is_nothing():
    assert Progress().fraction() == 0.0
    assert Progress().eta(12.0) == 0.0


def test_a_job_whose_units_are_unknown_has_barely_begun():
    assert Progress(units=-1).fraction() == 0.01
    assert Progress(units=-1, step=0, steps=20).fraction() == pytest.approx(0.01)


def test_steps_count_within_their_unit():
    """0.01 for having begun, 1 of 4 units done, half of the second."""
    progress = Progress(units=4, units_done=1, step=10, steps=20)
    assert progress.fraction() == pytest.approx(0.01 + 0.25 + 0.125)
    assert progress.eta(10.0) == pytest.approx(10.0 / 0.385 - 10.0)


def test_the_fraction_is_capped_but_the_eta_is_not():
    done = Progress(units=1, units_done=1)
    assert done.fraction() == 1.0
    assert done.eta(10.0) < 0


def test_the_share_done_is_without_what_is_given_for_having_begun():
    """Spec api.md 11.4; recording webui/internal_progress_seq: step 1 of 25."""
    assert Progress(units=1, step=1, steps=25).share_done() == 0.04
    assert Progress(units=4, units_done=1, step=10, steps=20).share_done() == 0.375
    assert Progress(units=1, units_done=1, step=3, steps=4).share_done() == 1.0
    for idle in (Progress(), Progress(units=-1, step=0, steps=20)):
        assert idle.share_done() == 0.0
