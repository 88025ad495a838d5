"""Model stylesheets (spec 8): parse, rank by specificity, apply to a graph.

Rules kept here:
- Universal < shape < class < id; of two rules equally specific the later wins (8.3).
- A value the node already has, from its own attributes or from defaults, is never touched (8.5).
- A problem carries offsets into the stylesheet's text, like a condition's. After one, parsing goes on at the
  next rule, so that a stylesheet shows all its problems at once.
- `/* */` comments are allowed, as in CSS.

Must not know: which models or providers exist.
"""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from attractor.diagnostics import closest_name
from attractor.dot import Attribute, decode_string
from attractor.graph.model import Graph, Node
from attractor.graph.origin import GraphAttribute, StylesheetRule

__all__ = [
    "PROPERTIES",
    "Declaration",
    "Rule",
    "StylesheetProblem",
    "apply_stylesheet",
    "parse_stylesheet",
    "stylesheet_offers",
]

PROPERTIES = ("llm_model", "llm_provider", "reasoning_effort")
_EFFORTS = ("low", "medium", "high")
_SPECIFICITY = {"*": 0, "shape": 1, "class": 2, "id": 3}


class Declaration(NamedTuple):
    """`property: value`; `start` and `end` place the value in the stylesheet's text."""

    property: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One selector with its declarations. `kind` is `*`, `shape`, `class` or `id`; `name` is empty for
    `*`.
    """

    kind: str
    name: str
    declarations: tuple[Declaration, ...]
    start: int
    end: int


class StylesheetProblem(NamedTuple):
    message: str
    start: int
    end: int
    fix: str | None = None
    expected: tuple[str, ...] = ()


_LEXEME = re.compile(
    r"""(?:\s++|/\*(?>.*?\*/))*+(?:
      (?P<quoted>"(?:[^"\\]++|\\.)*+")
    | (?P<word>[\w.#/@+%~-](?:[\w.#@+%~:-]|/(?!\*))*+)
    | (?P<other>.)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CLASS = re.compile(r"\.[A-Za-z0-9_-]+\Z")


class _Lexeme(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Refused(Exception):
    def __init__(self, problem: StylesheetProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse_stylesheet(text: str) -> tuple[tuple[Rule, ...], tuple[StylesheetProblem, ...]]:
    """The rules that could be read and what is wrong with the others. An empty text has neither."""
    parser = _Parser(text)
    return tuple(parser.rules()), tuple(parser.problems)


class _Parser:
    def __init__(self, text: str) -> None:
        self.problems: list[StylesheetProblem] = []
        self._lexemes = _lexemes(text)
        self._position = 0

    @property
    def _here(self) -> _Lexeme:
        return self._lexemes[self._position]

    def rules(self) -> list[Rule]:
        found: list[Rule] = []
        while self._here.kind != "end":
            try:
                found.append(self._rule())
            except _Refused as refused:
                self.problems.append(refused.problem)
                self._skip_rule()
        return found

    def _rule(self) -> Rule:
        selector = self._here
        kind, name = self._selector()
        if self._here.text != "{":
            raise self._unexpected(("`{`",))
        self._next()
        declarations: list[Declaration] = []
        while self._here.text != "}" or self._here.kind == "quoted":
            declarations.append(self._declaration())
            if self._here.text == ";":
                self._next()
            elif self._here.text != "}":
                raise self._unexpected(("`;`", "`}`"))
        if not declarations:
            raise self._unexpected(PROPERTIES)
        self._next()
        return Rule(kind, name, tuple(declarations), selector.start, selector.end)

    def _selector(self) -> tuple[str, str]:
        selector = self._here
        text = selector.text
        if selector.kind == "other" and text == "*":
            self._next()
            return "*", ""
        for kind, prefix, pattern in (
            ("id", "#", _IDENTIFIER),
            ("class", "", _CLASS),
            ("shape", "", _IDENTIFIER),
        ):
            if selector.kind == "word" and text.startswith(prefix) and pattern.match(text.removeprefix(prefix)):
                self._next()
                return kind, text.removeprefix(prefix).removeprefix(".")
        raise self._unexpected(("`*`", "a shape", "`.class`", "`#node_id`"))

    def _declaration(self) -> Declaration:
        name = self._here
        key, colon, glued = name.text.partition(":")
        if name.kind != "word" or key not in PROPERTIES:
            raise self._unexpected(PROPERTIES, closest_name(key, PROPERTIES))
        self._next()
        if colon and glued:  # `llm_model:x` without a blank is one word
            value = _Lexeme("word", glued, name.start + len(key) + 1, name.end)
        else:
            if not colon:
                if self._here.text != ":":
                    raise self._unexpected(("`:`",))
                self._next()
            value = self._here
            if value.kind not in ("word", "quoted"):
                raise self._unexpected(("a value",))
            self._next()
        text = decode_string(value.text) if value.kind == "quoted" else value.text
        if key == "reasoning_effort" and text not in _EFFORTS:
            message = f"`{text[:40]}` is no reasoning effort"
            self.problems.append(
                StylesheetProblem(message, value.start, value.end, _did_you_mean(text, _EFFORTS), _EFFORTS)
            )
        return Declaration(key, text, value.start, value.end)

    def _next(self) -> None:
        if self._here.kind != "end":
            self._position += 1

    def _unexpected(self, expected: tuple[str, ...], near: str | None = None) -> _Refused:
        here = self._here
        start, end = here.start, here.end
        if here.kind == "end":
            message = "the stylesheet ends inside a rule"
        elif expected is PROPERTIES and here.kind == "word":
            name = here.text.partition(":")[0]
            end = start + len(name)
            message = f"unknown property `{name[:40]}`"
        else:
            message = f"unexpected `{here.text[:40]}` in the stylesheet"
        fix = f"did you mean `{near}`?" if near else None
        if fix is None and here.text == ",":
            fix = "write one rule per selector"
        return _Refused(StylesheetProblem(message, start, end, fix, expected))

    def _skip_rule(self) -> None:
        while self._here.kind != "end":
            closing = self._here.text == "}" and self._here.kind == "other"
            self._next()
            if closing:
                return


def _lexemes(text: str) -> list[_Lexeme]:
    found: list[_Lexeme] = []
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup or "end"
        found.append(_Lexeme(kind, match.group(kind), *match.span(kind)))
        if kind == "end":
            break
    return found


def _did_you_mean(text: str, names: tuple[str, ...]) -> str | None:
    near = closest_name(text, names)
    return f"did you mean `{near}`?" if near else None


def apply_stylesheet(graph: Graph) -> Graph:
    """A graph whose nodes have the model attributes the stylesheet, or else the graph itself, gives them
    (8.5).
    """
    sheet = graph.attributes.get("model_stylesheet")
    rules = parse_stylesheet(sheet.text)[0] if sheet is not None else ()
    graph_defaults = _graph_defaults(graph)
    if sheet is None or not rules:
        index: _Index = {}
    else:
        index = _index(sheet, rules)
    if not index and not graph_defaults:
        return graph
    nodes = {node_id: _styled(node, index, graph_defaults) for node_id, node in graph.nodes.items()}
    return replace(graph, nodes=nodes)


def stylesheet_offers(graph: Graph, node: Node) -> dict[str, tuple[Attribute, ...]]:
    """All values that the stylesheet and the graph hold ready for a node, strongest first, whether or not it needs
    one. A rule of the same selector that comes later hides the earlier one.
    """
    sheet = graph.attributes.get("model_stylesheet")
    index = _index(sheet, parse_stylesheet(sheet.text)[0]) if sheet is not None else {}
    matching = _matching(node, index)
    last = _graph_defaults(graph)
    offers = {}
    for key in PROPERTIES:
        ranked = sorted((values[key] for values in matching if key in values), key=_strength, reverse=True)
        offers[key] = (*(each.attribute for each in ranked), *([last[key]] if key in last else []))
    return offers


def _graph_defaults(graph: Graph) -> dict[str, Attribute]:
    origin = GraphAttribute()
    return {key: graph.attributes[key]._replace(origin=origin) for key in PROPERTIES if key in graph.attributes}


class _Ranked(NamedTuple):
    """A value with what decides between it and others: specificity, then the rule's place in the
    stylesheet.
    """

    specificity: int
    position: int
    attribute: Attribute


# By selector, so that a node looks at the selectors it can match, however many rules there are.
_Index = dict[tuple[str, str], dict[str, _Ranked]]


def _index(sheet: Attribute, rules: tuple[Rule, ...]) -> _Index:
    index: _Index = {}
    locate = sheet.locator()
    for position, rule in enumerate(rules):
        values = index.setdefault((rule.kind, rule.name), {})
        specificity = _SPECIFICITY[rule.kind]
        origin = StylesheetRule(sheet.text[rule.start : rule.end], rule.kind, specificity)
        for declaration in rule.declarations:
            span = locate(declaration.start, declaration.end)
            value = declaration.value
            attribute = Attribute(declaration.property, value, *span, span.start, span.end, origin=origin)
            values[declaration.property] = _Ranked(specificity, position, attribute)
    return index


def _strength(ranked: _Ranked) -> tuple[int, int]:
    return ranked.specificity, ranked.position


def _matching(node: Node, index: _Index) -> list[dict[str, _Ranked]]:
    selectors = [
        ("*", ""),
        ("shape", node.shape),
        *(("class", name) for name in node.classes),
        ("id", node.id),
    ]
    return [index[selector] for selector in selectors if selector in index]


def _styled(node: Node, index: _Index, graph_defaults: dict[str, Attribute]) -> Node:
    matching = _matching(node, index)
    added: dict[str, Attribute] = {}
    for key in PROPERTIES:
        if key in node.attributes:
            continue
        candidates = [values[key] for values in matching if key in values]
        if candidates:
            added[key] = max(candidates, key=_strength).attribute
        elif key in graph_defaults:
            added[key] = graph_defaults[key]
    return node.with_attributes({**node.attributes, **added}) if added else node
