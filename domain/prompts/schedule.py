"""Prompt editing: `[before:after:when]` and `[one|two]`, resolved to one text per range of steps.

Source: spec prompts.md section 2. The reference parses this with an ambiguous grammar; here every
bracket has one reading (section 2.2), found in one pass without recursion, so that neither long nor
deeply nested text is a problem.
"""

import re
from collections.abc import Iterator, Sequence
from math import isnan

import msgspec

_PLAIN = re.compile(r"(?:[^\\\[\]():|]|\\.)+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CLOSER = {"(": ")", "[": "]"}


class ScheduledText(msgspec.Struct, frozen=True):
    """`text` is used up to and including model evaluation `end_at`, counted from 1."""

    end_at: int
    text: str


class Edit(msgspec.Struct, frozen=True):
    """`[before:after:when]`: `when` is the number as written (`8` a step, `0.4` a fraction)."""

    before: "Node"
    after: "Node"
    when: str


class Alternation(msgspec.Struct, frozen=True):
    """`[a|b|c]`: cycles through the options, one per step."""

    options: "tuple[Node, ...]"


# Emphasis brackets are a tuple with their brackets in it: attention is parsed later.
Node = str | Edit | Alternation | tuple["Node", ...]


def prompt_schedule(
    text: str, steps: int, hires_steps: int | None = None, old_scheduling: bool = False
) -> tuple[ScheduledText, ...]:
    """Resolve prompt editing into texts by step; the last entry ends at the last step.

    `steps` and `hires_steps` count model evaluations, not sampler steps (twice as many for second
    order samplers); give `hires_steps` in the hires pass only. Text that does not parse is used as
    it is for all steps. Neighbours of equal text are kept apart. Raises nothing.
    """
    last, int_offset, float_offset = steps, 0, 0.0
    if hires_steps is not None and not old_scheduling:
        last, int_offset, float_offset = hires_steps, steps, 1.0

    def boundary(when: str) -> int:
        value = float(when)
        if old_scheduling:
            at = value * last if value < 1 else value
        elif "." in when:
            at = (value - float_offset) * last
        else:
            at = value - int_offset
        if isnan(at) or at >= last:  # beyond the end, 1e400 included
            return last
        return int(max(at, 0.0))

    tree = parse_editing(text)
    if tree is None:
        return (ScheduledText(last, text),)
    ends = {last}
    for node in _walk(tree):
        if isinstance(node, Edit) and boundary(node.when) >= 1:
            ends.add(boundary(node.when))
        elif isinstance(node, Alternation):
            ends.update(range(1, last + 1))

    def active_branch(node: Edit | Alternation, step: int) -> Node:
        if isinstance(node, Edit):
            return node.before if step <= boundary(node.when) else node.after
        return node.options[(step - 1) % len(node.options)]

    def render(step: int) -> str:
        out: list[str] = []
        pending: list[Node] = [tree]
        while pending:
            node = pending.pop()
            if isinstance(node, str):
                out.append(node)
            elif isinstance(node, tuple):
                pending.extend(reversed(node))
            else:
                pending.append(active_branch(node, step))
        return "".join(out)

    return tuple(ScheduledText(end, render(end)) for end in sorted(ends))


def entry_at(schedule: Sequence[ScheduledText], evaluation: int) -> int:
    """Index of the entry used at model evaluation `evaluation`, from 0 (spec prompts.md 2.4).

    The first entry with `evaluation <= end_at`, so the first one is used for one evaluation more
    than its number; entry 0 if none qualifies.
    """
    return next((i for i, step in enumerate(schedule) if evaluation <= step.end_at), 0)


def timelines_differ(text: str, steps: int, hires_steps: int | None = None) -> bool:
    """Whether old and new scheduling give different results for this prompt (spec prompts.md
    8.2)."""
    old = prompt_schedule(text, steps, hires_steps, old_scheduling=True)
    return old != prompt_schedule(text, steps, hires_steps)


def parse_editing(text: str) -> Node | None:
    """Parse a whole prompt; None if it does not match the grammar (spec prompts.md 2.1)."""
    reader = _Reader(text)
    nodes: list[Node] = []
    at = 0
    while at < len(text):
        if (plain := _PLAIN.match(text, at)) is not None:
            nodes.append(plain.group())
            at = plain.end()
        elif (structure := reader.structure(at)) is not None:
            node, at = structure
            nodes.append(node)
        elif text[at] in "[]():":
            nodes.append(text[at])  # a stray character, allowed at top level only
            at += 1
        else:
            return None
    return tuple(nodes)


class _Bracket:
    """An open bracket: the fields read so far, and the separators between them."""

    def __init__(self, opener: str, start: int) -> None:
        self.opener = opener
        self.start = start
        self.fields: list[list[Node]] = [[]]
        self.separators: set[str] = set()

    def separate(self, separator: str) -> None:
        self.separators.add(separator)
        self.fields.append([])

    def close(self) -> Node | None:
        """The structure that these fields make, or None."""
        fields: list[Node] = [tuple(field) for field in self.fields]
        if self.opener == "(":
            if len(fields) == 1:
                return ("(", fields[0], ")")
            if len(fields) == 2 and self.separators == {":"}:
                return ("(", fields[0], ":", fields[1], ")")
        elif not self.separators:
            return ("[", fields[0], "]")
        elif self.separators == {"|"}:
            return Alternation(tuple(fields))
        elif self.separators == {":"} and len(fields) <= 3:
            when = self._number()
            if when is not None:
                before = fields[0] if len(fields) == 3 else ""
                return Edit(before, fields[-2], when)
        return None

    def _number(self) -> str | None:
        written = self.fields[-1]
        if len(written) == 1 and isinstance(written[0], str):
            number = written[0].strip()
            return number if _NUMBER.fullmatch(number) else None
        return None


class _Reader:
    """Parses complete bracket structures; caches the result of each bracket position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[int, tuple[Node, int] | None] = {}

    def structure(self, start: int) -> tuple[Node, int] | None:
        """The structure that begins at `start` and the position behind it, or None."""
        if start not in self._known and self._text[start] in _CLOSER:
            self._read(start)
        return self._known.get(start)

    def _read(self, start: int) -> None:
        text, known = self._text, self._known
        stack = [_Bracket(text[start], start)]
        at = start + 1
        while stack and at < len(text):
            bracket, char = stack[-1], text[at]
            if (plain := _PLAIN.match(text, at)) is not None:
                bracket.fields[-1].append(plain.group())
                at = plain.end()
            elif (found := known.get(at)) is not None:
                bracket.fields[-1].append(found[0])
                at = found[1]
            elif char in _CLOSER and at not in known:
                stack.append(_Bracket(char, at))
                at += 1
            elif char in ":|":
                bracket.separate(char)
                at += 1
            elif char == _CLOSER[bracket.opener] and (node := bracket.close()) is not None:
                at += 1
                known[stack.pop().start] = node, at
                if stack:
                    stack[-1].fields[-1].append(node)
            else:
                break
        # What a bracket cannot hold breaks that bracket and all around it.
        for bracket in stack:
            known[bracket.start] = None


def _walk(tree: Node) -> Iterator[Node]:
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, tuple):
            pending.extend(node)
        elif isinstance(node, Edit):
            pending += (node.before, node.after)
        elif isinstance(node, Alternation):
            pending.extend(node.options)
