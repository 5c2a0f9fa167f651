"""Reads torch's pickles without executing code.

A pickle is a program for a stack machine, and Python's own interpreter imports and calls whatever
it names. This interpreter supports only the opcodes that dictionaries of tensors consist of.
Functions are never called: only their names are compared, and a tensor's shape is read from the
arguments. Source: Python's `pickletools`.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from hexfusion.domain.extra_networks import Shape


class _Name(NamedTuple):
    """The name of a function or class in a pickle."""

    text: str


class _Parameters(dict[object, object]):
    """The parameters of a module that is but a dictionary of them, as in early embeddings."""

    def take(self, state: object) -> None:
        """Take the parameters out of the module's state."""
        parameters = state.get("_parameters") if isinstance(state, dict) else None
        if isinstance(parameters, dict):
            self.update(parameters)


_MARK = object()
_UNKNOWN = object()

_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    }
)  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = frozenset({"PROTO", "FRAME"})
#: Exceptions that damaged pickles cause.
_DAMAGED = (
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
#: Most opcodes of one pickle; a checkpoint has about forty for each tensor.
_MOST_STEPS = 1_000_000


def read_pickles(file: IO[bytes], count: int) -> list[object]:
    """The values of `count` consecutive pickles in `file`, with tensors as `Shape`.

    Results of other function calls are replaced by a placeholder. Raises ValueError for damaged
    pickles.
    """
    try:
        return [_Machine().run(file) for _ in range(count)]
    except _DAMAGED as error:
        raise ValueError(f"no pickle of tensors: {error!r}") from error


class _Machine:
    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, object] = {}

    def run(self, file: IO[bytes]) -> object:
        for steps, (code, argument, _) in enumerate(pickletools.genops(file)):
            if steps > _MOST_STEPS:
                raise ValueError(f"more than {_MOST_STEPS} instructions")
            if code.name == "STOP":
                return self._stack.pop()
            self._step(code.name, argument)
        raise ValueError("no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case _ if name in _CONSTANTS:
                stack.append(_CONSTANTS[name]())
            case _ if name in _LITERALS:
                stack.append(argument)
            case _ if name in _TUPLES:
                self._replace(tuple(stack[-_TUPLES[name] :]), _TUPLES[name])
            case "MARK":
                stack.append(_MARK)
            case "TUPLE":
                stack.append(tuple(self._marked()))
            case "LIST":
                stack.append(self._marked())
            case "DICT":
                stack.append(_pairs(self._marked()))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = _pairs(self._marked())
                stack[-1].update(items)
            case "APPEND":
                value = stack.pop()
                stack[-1].append(value)
            case "APPENDS":
                values = self._marked()
                stack[-1].extend(values)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[int(argument)])
            case "GLOBAL":
                stack.append(_Name(argument))
            case "STACK_GLOBAL":
                self._replace(_Name(f"{stack[-2]} {stack[-1]}"), 2)
            case "BINPERSID":
                self._replace(_UNKNOWN, 1)
            case "REDUCE" | "NEWOBJ":
                self._replace(_built(stack[-2], stack[-1]), 2)
            case "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], _Parameters):
                    stack[-1].take(state)
            case "POP":
                stack.pop()
            case _ if name not in _NOTHING:
                raise ValueError(f"instruction {name} is not for tensors")

    def _marked(self) -> list[Any]:
        """Pop and return the values pushed since the last mark, without the mark."""
        taken: list[Any] = []
        while (top := self._stack.pop()) is not _MARK:
            taken.append(top)
        return taken[::-1]

    def _replace(self, value: object, count: int) -> None:
        del self._stack[-count:]
        self._stack.append(value)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _built(function: object, arguments: Any) -> object:
    match function:
        case _Name("torch._utils _rebuild_tensor" | "torch._utils _rebuild_tensor_v2"):
            sides = arguments[2]
            if not all(isinstance(side, int) for side in sides):
                raise ValueError("a tensor without sides")
            return Shape(tuple(sides))
        case _Name("torch._utils _rebuild_parameter"):
            return arguments[0]
        case _Name("collections OrderedDict"):
            return dict(*arguments)
        case _Name("torch.nn.modules.container ParameterDict"):
            return _Parameters()
    return _UNKNOWN
