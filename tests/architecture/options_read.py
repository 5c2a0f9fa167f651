"""Which options the shipped code reads, found in its source.

There are four ways to read one, and each is recognised by itself:

* `options.flag("key")`, `options["key"]`: from anything that holds options;
* `look(options, "key")`: a key handed over together with the options;
* `options.flag(key)`: a key kept in a table or a record: then the keys that the module names, and
  those in modules that fill its records;
* `msgspec.convert(options, Record)`: each field of the record that is asked for as an attribute.

A text with holes, `f"hypertile_max_tile_{network}"`, stands for every option that fits it.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from inspect import signature
from typing import TypeVar

from hexfusion.domain.options import Options

Node = TypeVar("Node", bound=ast.AST)

#: What takes a key and gives an option's value, `Mapping.get` besides.
READERS = {
    "get",
    *(
        name
        for name, member in vars(Options).items()
        if not name.startswith("_") and callable(member) and "key" in signature(member).parameters
    ),
}

#: What annotations call options, and what gives them.
_TYPES = {"Options", "OptionValue"}
_SOURCES = {"snapshot", "with_overrides", "updated"}


def options_read(modules: Iterable[ast.Module], keys: Iterable[str]) -> set[str]:
    """Those of `keys` that the modules read."""
    modules, known = list(modules), set(keys)
    holders = set().union(*(_holders(module) for module in modules))
    read: set[str] = set()
    records: set[str] = set()
    for module in modules:
        asked = list(_asked(module, holders))
        read |= set().union(*(_fitting(key, known) for key in asked))
        if any(isinstance(key, ast.Name | ast.Attribute) for key in asked):
            read |= _named(module, known)
        if any(isinstance(key, ast.Attribute) for key in asked):
            records |= {each.name for each in _each(module, ast.ClassDef)}
    for module in modules:
        if records & _imported(module):
            read |= _named(module, known)
    return read | (_converted(modules) & _attributes(modules) & known)


def _holders(module: ast.Module) -> set[str]:
    """The names that the module annotates as options."""
    return {
        each.arg
        for each in ast.walk(module)
        if isinstance(each, ast.arg) and each.annotation is not None
        if any(isinstance(part, ast.Name) and part.id in _TYPES for part in _plain(each.annotation))
    }


def _plain(annotation: ast.expr) -> Iterator[ast.AST]:
    """Its parts, unless it is of a function, which only takes options."""
    parts = list(ast.walk(annotation))
    return iter(()) if any(getattr(each, "id", "") == "Callable" for each in parts) else iter(parts)


def _holds(node: ast.expr, holders: set[str]) -> bool:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name.lstrip("_") in holders
        case ast.Call(ast.Attribute(attr=name)):
            return name in _SOURCES
    return False


def _asked(module: ast.Module, holders: set[str]) -> Iterator[ast.expr]:
    """The expressions that keys are given by."""
    for node in ast.walk(module):
        match node:
            case ast.Subscript(value, key, ast.Load()) if _holds(value, holders):
                yield key
            case ast.Call(ast.Attribute(value, name), [key, *_]) if _holds(value, holders):
                if name in READERS:
                    yield key
            case ast.Call(args=arguments) if any(_holds(each, holders) for each in arguments):
                yield from (each for each in arguments if _is_text(each))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _fitting(key: ast.expr, known: set[str]) -> set[str]:
    match key:
        case ast.Constant(str(text)):
            return {text} & known
        case ast.JoinedStr(parts):
            pieces = [
                re.escape(str(each.value)) if isinstance(each, ast.Constant) else "[A-Za-z0-9]+"
                for each in parts
            ]
            return set(filter(re.compile("".join(pieces)).fullmatch, known))
    return set()


def _named(module: ast.Module, known: set[str]) -> set[str]:
    """All keys that stand in a module as texts, save those that a dictionary is filled under."""
    filled = {id(key) for each in _each(module, ast.Dict) for key in each.keys}
    texts = (each for each in _each(module, ast.Constant) if id(each) not in filled)
    return set().union(*(_fitting(each, known) for each in texts))


def _imported(module: ast.Module) -> set[str]:
    return {alias.name for each in _each(module, ast.ImportFrom) for alias in each.names}


def _converted(modules: Iterable[ast.Module]) -> set[str]:
    """The fields of the records that options are converted to."""
    names = {
        call.args[1].id
        for module in modules
        for call in _each(module, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "convert"
        if len(call.args) == 2 and isinstance(call.args[1], ast.Name)
    }
    return {
        field.target.id
        for module in modules
        for record in _each(module, ast.ClassDef)
        if record.name in names
        for field in record.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _attributes(modules: Iterable[ast.Module]) -> set[str]:
    return {each.attr for module in modules for each in _each(module, ast.Attribute)}


def _each(module: ast.Module, kind: type[Node]) -> Iterator[Node]:
    return (each for each in ast.walk(module) if isinstance(each, kind))
