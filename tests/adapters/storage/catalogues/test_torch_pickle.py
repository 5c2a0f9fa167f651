"""Whatever a file says, nothing is executed and nothing but ValueError comes out."""

import io
import pickle
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.adapters.storage.catalogues.torch_pickle import read_pickles
from tests.contracts.network_catalog import TRAINED, pickled

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner, inner)
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(plain, st.sampled_from([0, 1, 2, 4, 5]))
def test_reads_what_python_writes(value, protocol):
    assert read_pickles(io.BytesIO(pickle.dumps(value, protocol)), 1) == [value]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_anything_may_come(data):
    program = bytearray(pickled(TRAINED))
    for place in data.draw(st.lists(st.integers(0, len(program) - 1), max_size=4)):
        program[place] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        read_pickles(io.BytesIO(program), 1)


class Trap:
    """Read by Python's own machine this would end the tests."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_calls_nothing():
    (value,) = read_pickles(io.BytesIO(pickle.dumps([Trap(), 1])), 1)
    assert value[1] == 1
