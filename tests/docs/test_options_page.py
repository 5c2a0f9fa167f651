"""docs/options.md says what the registry says."""

from hexfusion.domain.options import REGISTRY
from tools.options_page import PAGE, page


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tools.options_page"


def test_every_option_is_on_it_once_and_those_without_effect_with_their_reason():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(REGISTRY)
    for row in rows:
        option = REGISTRY[row.split("`")[1]]
        assert row.endswith(f"| {option.without_effect or option.about} |")
