"""Is anything of A1111's OpenAPI document missing from ours? Path by path, field by field.

python -m benchmarks.openapi_diff [FILE] [--all]

FILE is A1111's document (default: the recorded one). Prints every kind of difference with its
reason and how often it occurs; `--all` each of them. Exit status 1 if something of theirs is
missing here, or if a difference has no reason.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import harness
from hexfusion.adapters.http.documents import openapi

Json = Mapping[str, Any]

#: Why we differ, by what differs. `_reason` has the cases that hang on more.
REASONS = {
    "null": "OpenAPI 3.0, as A1111 writes it, does not say that null is taken and answered there",
    "refined": "A1111's document leaves open what it is; ours says it",
    "bounds": "A1111 has no bound, and crashes or works for ever beyond it; here it is 422",
    "required": "A1111's document leaves open whether an answer has it; it always has",
    "text": "A1111's document says JSON; it answers plain text as well",
}
_PLACE = "where the server keeps its files: {data}, {models}"
_WORDS = "an explanation for the web UI: our own words"
_GIVEN = "A1111's is empty and then filled with this at start"


@dataclass(frozen=True)
class Difference:
    """`what` differs at `where`; there is no `reason` for one that is not meant."""

    where: str
    what: str
    theirs: object
    ours: object
    reason: str | None


@dataclass
class Report:
    """What was compared, how many of each kind of thing, and what differs."""

    compared: Counter[str]
    differences: list[Difference]

    @property
    def unexplained(self) -> list[Difference]:
        """Those that nobody meant."""
        return [each for each in self.differences if each.reason is None]


def compare(theirs: Json, ours: Json) -> Report:
    """Everything in `theirs` looked for in `ours`."""
    report = Report(Counter(), [])
    for path, methods in theirs["paths"].items():
        for method, operation in methods.items():
            report.compared["operations"] += 1
            mine = ours["paths"].get(path, {}).get(method)
            _note(report, f"{method.upper()} {path}", _operation(operation, mine))
    schemas = ours["components"]["schemas"]
    for name, schema in theirs["components"]["schemas"].items():
        report.compared["schemas"] += 1
        mine = schemas.get(name)
        _note(report, name, [] if mine else [("missing", schema.get("type"), None)])
        if mine:
            _members(report, name, schema, mine)
    return report


def _note(report: Report, where: str, found: list[tuple[str, object, object]]) -> None:
    for what, theirs, ours in found:
        reason = _reason(where, what, theirs, ours)
        report.differences.append(Difference(where, what, theirs, ours, reason))


def _operation(theirs: Json, ours: Json | None) -> list[tuple[str, object, object]]:
    if ours is None:
        return [("missing", theirs["operationId"], None)]
    found: list[tuple[str, object, object]] = []
    if theirs["operationId"] != ours["operationId"]:
        found.append(("id", theirs["operationId"], ours["operationId"]))
    mine = {each["name"]: each for each in ours.get("parameters", ())}
    for each in theirs.get("parameters", ()):
        pair = each["schema"], mine.get(each["name"], {}).get("schema", {})
        found += [(f"parameter {each['name']}: {what}", a, b) for what, a, b in _schema(*pair)]
    for code in theirs["responses"]:
        if code not in ours["responses"]:
            found.append(("status missing", code, None))
    asked, answered = theirs.get("requestBody"), theirs["responses"]["200"]
    if asked and asked.get("required") != ours.get("requestBody", {}).get("required"):
        found.append(("body required", True, False))
    if asked:
        found += _content("body", asked, ours.get("requestBody", {}))
    return found + _content("answer", answered, ours["responses"]["200"])


def _content(which: str, theirs: Json, ours: Json) -> list[tuple[str, object, object]]:
    wanted = theirs["content"]["application/json"]["schema"]
    kinds = ours.get("content", {})
    if "application/json" not in kinds:
        return [("text", "application/json", ", ".join(kinds))]
    return [
        (what if what in REASONS else f"{which}: {what}", a, b)
        for what, a, b in _schema(wanted, kinds["application/json"]["schema"])
    ]


def _members(report: Report, name: str, theirs: Json, ours: Json) -> None:
    properties, mine = theirs.get("properties", {}), ours.get("properties", {})
    for field, schema in properties.items():
        report.compared["fields"] += 1
        where = f"{name}.{field}"
        found = _schema(schema, mine[field]) if field in mine else [("missing", schema, None)]
        _note(report, where, found)
    orders = ([f for f in a if f in b] for a, b in ((properties, mine), (mine, properties)))
    if len({*map(tuple, orders)}) > 1:
        _note(report, name, [("order", list(properties), list(mine))])
    required, always = set(theirs.get("required", ())), set(ours.get("required", ()))
    for field in sorted(required ^ always):
        what = "required" if field in always else "no longer required"
        _note(report, f"{name}.{field}", [(what, field in required, field in always)])


def _schema(theirs: Json, ours: Json) -> list[tuple[str, object, object]]:
    """What differs between the descriptions of one value."""
    found: list[tuple[str, object, object]] = []
    mine, nullable = _without_null(ours)
    if nullable:
        found.append(("null", "", "or null"))
    a, b = _kind(theirs), _kind(mine)
    if a != b:
        vague = a in ("anything", "object", "array of anything") or b.startswith("one of")
        found.append(("refined" if vague else "type", a, b))
    if "default" in theirs or mine.get("default") is not None:
        default = _json(mine.get("default"))
        if theirs.get("default") != default:
            found.append(("default", theirs.get("default"), default))
    for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if theirs.get(bound) != mine.get(bound):
            what = "bounds" if bound not in theirs else "bound lost"
            found.append((what, theirs.get(bound), mine.get(bound)))
    return found


def _without_null(schema: Json) -> tuple[dict[str, Any], bool]:
    """A description without its null, and whether it had one."""
    rest = dict(schema)
    arms = [each for each in rest.get("anyOf", ()) if each != {"type": "null"}]
    if "anyOf" in rest:
        nullable = len(arms) < len(rest.pop("anyOf"))
        return (rest | arms[0] if len(arms) == 1 else rest | {"anyOf": arms}), nullable
    if isinstance(rest.get("type"), list):
        kinds = [each for each in rest["type"] if each != "null"]
        return rest | {"type": kinds[0]}, len(kinds) < len(rest["type"])
    return rest, False


def _kind(schema: Json) -> str:
    """The type of a value in a few words."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "enum" in schema:
        return f"one of {schema['enum']}"
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    match schema.get("type"):
        case None:
            return "anything"
        case "array":
            return f"array of {_kind(schema.get('items', {}))}"
        case "object" if schema.get("additionalProperties"):
            return f"object of {_kind(schema['additionalProperties'])}"
        case kind:
            return kind


def _json(value: object) -> object:
    """As it is on the wire."""
    return json.loads(json.dumps(value))


def _reason(where: str, what: str, theirs: object, ours: object) -> str | None:
    if what == "default":
        if where.startswith("Flags.") and "<root>" in str(theirs):
            return _PLACE
        if where == "Flags.gfpgan_dir":
            return _PLACE
        if where == "Flags.styles_file":
            return _GIVEN
        explained = where.endswith("_explanation") or where == "Options.settings_in_ui"
        return _WORDS if explained else None
    if what == "required" and re.match(r"\w*(Request|Processing)", where):
        return None  # what clients need not send must stay so
    return REASONS.get(what)


def recorded() -> Path:
    """A1111's document, as it answered."""
    return harness.RECORDINGS / "openapi.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.openapi_diff")
    parser.add_argument("file", nargs="?", type=Path, default=recorded())
    parser.add_argument("--all", action="store_true", help="show each difference")
    given = parser.parse_args()
    report = compare(json.loads(given.file.read_text("utf-8")), openapi.document("0"))
    console = Console()
    counts = ", ".join(f"{count} {kind}" for kind, count in report.compared.items())
    console.print(f"Compared: {counts}.")
    if given.all or report.unexplained:
        _show(console, report.differences if given.all else report.unexplained)
    reasons = Counter((each.what, each.reason or "NOT MEANT") for each in report.differences)
    table = Table("times", "what", "reason")
    for (what, reason), count in reasons.most_common():
        table.add_row(str(count), what, reason)
    console.print(table)
    missing = [each for each in report.differences if "missing" in each.what]
    console.print(f"Missing: {len(missing)}. Not meant: {len(report.unexplained)}.")
    return int(bool(report.unexplained))


def _show(console: Console, differences: list[Difference]) -> None:
    table = Table("where", "what", "A1111", "here")
    for each in differences:
        table.add_row(each.where, each.what, str(each.theirs)[:60], str(each.ours)[:60])
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
