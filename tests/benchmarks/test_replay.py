"""Every recorded request is answered with the recorded status and shape, or we say why not."""

from collections import Counter

from benchmarks.replay import replay_all


def test_the_recordings(shared):
    """golden/README.md. What a recording is about stands in the specification's sections."""
    outcomes = replay_all(shared / "golden")
    assert [each for each in outcomes if each.verdict == "unexplained"] == []
    verdicts = Counter(each.verdict for each in outcomes)
    assert verdicts.total() >= 1082
    assert verdicts["agrees"] >= 580
    assert all(each.note for each in outcomes if each.verdict != "agrees")
