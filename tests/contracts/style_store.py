"""What every style store must do. Subclass it where the implementation's tests are."""

from collections.abc import Callable, Sequence

import pytest

from hexfusion.application.ports.styles import StyleStore
from hexfusion.domain.prompts import Style

OpenStyles = Callable[[Sequence[Style]], StyleStore]


class StyleStoreContract:
    """Subclasses give the fixture `open_styles`: a store that holds the given styles."""

    @pytest.fixture
    def open_styles(self) -> OpenStyles:
        raise NotImplementedError

    def test_none_are_no_error(self, open_styles: OpenStyles):
        assert list(open_styles([]).styles()) == []

    def test_they_come_in_order_and_whole(self, open_styles: OpenStyles):
        styles = [
            Style("Neon", "neon glow, {prompt}", ""),
            Style("akvarel, mokrý", 'a "quoted" wash,\nover two lines', "photo"),
        ]
        assert list(open_styles(styles).styles()) == styles

    def test_reading_twice_gives_the_same(self, open_styles: OpenStyles):
        store = open_styles([Style("one", "x", "y")])
        assert list(store.styles()) == list(store.styles())
