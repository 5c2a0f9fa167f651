"""What every store of term lists must do. Subclass it where the implementation's tests are."""

from collections.abc import Callable, Mapping

from hexfusion.application.ports.terms import TermStore

TEXTS = {
    "flavors.top3": "a\nb\n",
    "artists": "Frans Hals\nJudith Leyster",
    "émoi": "é ü\r\nx",
    "Zoo": "lion",
}


class TermStoreContract:
    """Subclasses give the fixture `keeping`: texts by name to a store that has them."""

    def test_texts_come_by_name(self, keeping: Callable[[Mapping[str, str]], TermStore]):
        terms = keeping(TEXTS).terms()
        assert {name: text.splitlines() for name, text in terms.items()} == {
            name: text.splitlines() for name, text in TEXTS.items()
        }

    def test_names_are_in_order(self, keeping: Callable[[Mapping[str, str]], TermStore]):
        """Capitals first."""
        assert list(keeping(TEXTS).terms()) == sorted(TEXTS)

    def test_there_may_be_none(self, keeping: Callable[[Mapping[str, str]], TermStore]):
        assert dict(keeping({}).terms()) == {}

    def test_what_is_given_out_is_no_way_in(
        self, keeping: Callable[[Mapping[str, str]], TermStore]
    ):
        store = keeping(TEXTS)
        dict(store.terms()).clear()
        assert list(store.terms()) == sorted(TEXTS)
