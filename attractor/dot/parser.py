"""Tokens to a syntax tree (spec 2.2), finding as many problems of a file in one pass as can be told apart.

Rules kept here:
- No input raises: everything wrong becomes a Diagnostic with a place and, where there is one, a fix.
- After a problem the parser goes on where the next statement or attribute seems to begin, and uses what was
  clearly meant (`--` as `->`), so that one slip is one complaint. Whatever had to be skipped makes the tree
  incomplete.
- No recursion: subgraphs nest on an explicit stack up to MAX_SUBGRAPH_DEPTH, past which there is a plain
  error.
- Graphviz habits that do no harm pass without a word: `;` between attributes, a trailing comma, quoted keys,
  several attribute blocks in a row, `"a" + "b"`.

Must not know: what an attribute means, whether nodes exist. Attribute blocks are in `attribute_parser`.
"""

from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from attractor.diagnostics import Diagnostic, in_file_order
from attractor.dot import lexer
from attractor.dot.attribute_parser import AttributeParser
from attractor.dot.decoding import decode_source
from attractor.dot.lexer import BAD_ARROW, END, HASH_LINE, JUNK, NUMBER, ODD_WORD, STRING, WORD
from attractor.dot.problems import GiveUp, bare_id, describe, near_keyword, runaway_string
from attractor.dot.syntax import (
    DefaultsStatement,
    DigraphSyntax,
    EdgeStatement,
    Identifier,
    NodeStatement,
    Statement,
    SubgraphStatement,
)
from attractor.source import Source, Span

__all__ = ["MAX_SUBGRAPH_DEPTH", "parse", "parse_source"]

# Graphs drawn by hand nest two or three deep, generated ones a few dozen.
MAX_SUBGRAPH_DEPTH = 250
# Keeps a hostile file of some megabytes from becoming gigabytes of statements.
MAX_STATEMENTS = 1_000_000

_DEFAULT_TARGETS = frozenset({"graph", "node", "edge"})
_ID_KINDS = frozenset({WORD, STRING, NUMBER, ODD_WORD})
_STATEMENT_STARTS = ("a node id", "`node`", "`edge`", "`graph`", "`subgraph`", "`}`")


class _Scope(NamedTuple):
    """An open `{`: where its statement began, the subgraph's name, and the statements so far."""

    start: int
    name: str
    statements: list[Statement]


def parse(data: str | bytes, name: str) -> tuple[DigraphSyntax | None, tuple[Diagnostic, ...]]:
    """The tree of a graph file, as far as one could be made out, and everything wrong with the file."""
    source, problems = decode_source(data, name)
    if problems and not source.text:
        return None, problems
    tree, found = parse_source(source)
    return tree, in_file_order((*problems, *found))


def parse_source(source: Source) -> tuple[DigraphSyntax | None, tuple[Diagnostic, ...]]:
    parser = _Parser(source)
    tree = parser.digraph()
    found = parser.problems.found
    runaway = runaway_string(source.text) if found else None
    if runaway is None:
        return tree, tuple(found)
    # Everything complained about after the lost quote is a consequence of it.
    kept = [problem for problem in found if problem.span is not None and problem.span.start < runaway.start]
    parser.problems.found = kept
    line, _ = source.position(runaway.end - 1)
    message = f"this string is not closed where it should be: it runs on to a quote in line {line}"
    end = source.line_bounds(source.position(runaway.start)[0])[1]
    with suppress(GiveUp):
        parser.problems.error("unterminated_string", message, runaway.start, end, fix='add the closing "')
    return tree and replace(tree, complete=False), tuple(kept)


class _Parser(AttributeParser):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._root: list[Statement] = []
        self._scopes: list[_Scope] = []
        self._bad_ids: set[str] = set()
        self._statement_count = 0

    def digraph(self) -> DigraphSyntax | None:
        name = ""
        opened = False
        try:
            name = self._header()
            opened = True
            self._statements()
            self._after_the_end()
        except GiveUp:
            self.complete = False
        if not opened:
            return None
        while self._scopes:
            self._close_subgraph(self._end)
        return DigraphSyntax(name, tuple(self._root), self.source, self.complete)

    # --- around the statements ------------------------------------------------------------------------------

    def _header(self) -> str:
        while self._kind == HASH_LINE:
            self._hash_line()
        if self._kind == END:
            message = "the file holds no graph: it is empty or only comments"
            self._error(
                "empty_file",
                message,
                fix="start with: digraph name { start -> exit }",
                expected=("`digraph`",),
            )
            raise GiveUp
        if self._kind == WORD and self._text().casefold() == "strict":
            self._error("strict_graph", "`strict` graphs are not supported (spec 2.3)", fix="remove `strict`")
            self._advance()
        self._digraph_keyword()
        name = self._graph_name()
        if self._kind != "{":
            self._unexpected(("`{`",))
            if self._kind in (JUNK, "=", END):
                raise GiveUp
        else:
            self._opened_at = self._start
            self._advance()
        return name

    def _digraph_keyword(self) -> None:
        word = self._text() if self._kind == WORD else ""
        if word == "digraph":
            self._advance()
        elif word.casefold() == "graph":
            message = "undirected graphs are not supported (spec 2.3)"
            self._error("undirected_graph", message, fix="write `digraph` and use `->` for edges")
            self._advance()
        elif near_keyword(word, ("digraph",)):
            self._error("keyword_misspelled", f"unknown keyword `{word}`", fix="did you mean `digraph`?")
            self._advance()
        else:
            self._unexpected(("`digraph`",))
            raise GiveUp

    def _graph_name(self) -> str:
        if self._kind == STRING:
            return self._string()[0]
        if self._kind not in _ID_KINDS:
            return ""
        name = self._text()
        if not (name.isascii() and name.isidentifier()):
            fix = f'write `{bare_id(name)}`, or put the name in quotes: "{name}"'
            self._error("graph_name_invalid", f"`{name}` cannot be a bare graph name", fix=fix)
        self._advance()
        return name

    def _after_the_end(self) -> None:
        while self._kind in (";", HASH_LINE):
            self._hash_line() if self._kind == HASH_LINE else self._advance()
        if self._kind == END:
            return
        if self._kind == WORD and self._text() in {"digraph", "graph", "strict"}:
            message = "a second graph in the same file (spec 2.3)"
            self._error("multiple_graphs", message, fix="keep one digraph per file")
        else:
            token = describe(self._kind, self._text())
            message = f"unexpected {token} after the graph's closing `}}`"
            self._error("syntax", message, fix="remove it, or remove the `}` that ends the graph too early")
        self.complete = False

    # --- statements -----------------------------------------------------------------------------------------

    def _statements(self) -> None:
        while True:
            kind = self._kind
            if kind == WORD:
                self._word_statement()
            elif kind in _ID_KINDS:
                self._node_or_edge(self._start)
            elif kind == ";":
                self._advance()
            elif kind == "}":
                self._advance()
                if not self._scopes:
                    return
                self._close_subgraph(self._previous_end)
                self._edges_from_group()
            elif kind == "{":
                self._group_without_keyword()
            elif kind == END:
                self._unclosed_brace()
                return
            else:
                self._bad_statement()

    def _add(self, statement: Statement, size: int = 1) -> None:
        before = self._statement_count
        self._statement_count += size
        if before < MAX_STATEMENTS <= self._statement_count:
            message = f"the graph has {MAX_STATEMENTS:,} statements or more"
            self._error("graph_too_large", message, fix="split the pipeline")
            raise GiveUp
        self._statements_so_far().append(statement)

    def _word_statement(self) -> None:
        word = self._text()
        if word in _DEFAULT_TARGETS:
            self._defaults(word)
        elif word == "subgraph":
            self._open_subgraph()
        elif word in {"digraph", "strict"}:
            self._misplaced_digraph(word)
        else:
            self._node_or_edge(self._start)

    def _defaults(self, target: str) -> None:
        start, end = self._start, self._end
        self._advance()
        if self._kind != "[":
            message = f"`{target}` is a keyword: it cannot be a node id or an attribute of its own"
            fix = f"write `{target} [ key=value ]` for defaults, or choose another id"
            self.problems.error("keyword_as_id", message, start, end, fix=fix, expected=("`[`",))
            self._skip_statement()
            return
        self._add(DefaultsStatement(target, self._attributes()))

    def _node_or_edge(self, start: int) -> None:
        kind = self._kind
        name, end = self._name()
        following = self._kind
        if following == "=" and kind in (WORD, STRING):
            self._assignment(name, start, end)
            return
        node = self._identifier(name, start, end)
        if following == "[":
            self._add(NodeStatement(node, self._attributes()))
            if self._kind in ("->", "--", BAD_ARROW):
                message = "an edge cannot follow a node's attributes"
                self._error("syntax", message, fix=f"write the edge on its own: {node.text} -> ...")
                self._skip_statement()
        elif following in ("->", "--", BAD_ARROW):
            self._edge_chain(node)
        else:
            self._add(NodeStatement(node, ()))
            self._check_statement_end(node)

    def _check_statement_end(self, node: Identifier) -> None:
        """Statements need nothing between them, so only what can start none is wrong after a lone id."""
        if self._kind == ",":
            message = "node ids cannot be listed with commas"
            self._error("syntax", message, fix="write one statement per node, or one edge per pair")
            self._advance()
        elif self._kind == "{" and (keyword := near_keyword(node.text, ("subgraph",))):
            span = node.span
            message = f"unknown keyword `{node.text}`"
            self.problems.error("keyword_misspelled", message, span.start, span.end, fix=f"did you mean `{keyword}`?")
            self._statements_so_far().pop()
            self._push_scope(node.span.start, "")

    def _statements_so_far(self) -> list[Statement]:
        return self._scopes[-1].statements if self._scopes else self._root

    def _assignment(self, key: str, start: int, end: int) -> None:
        attribute = self._attribute_after_key(key, start, end)
        if attribute is not None:
            self._add(DefaultsStatement("graph", (attribute,)))
        else:
            self._skip_statement()
        if self._kind == ",":
            self._advance()  # `rankdir=LR,` is harmless: a habit from attribute blocks

    # --- edges ----------------------------------------------------------------------------------------------

    def _edge_chain(self, first: Identifier) -> None:
        nodes = [first]
        while self._kind in ("->", "--", BAD_ARROW):
            self._arrow()
            if self._kind == "{" or (self._kind == WORD and self._text() == "subgraph"):
                self._edge_to_group(nodes[-1])
                return
            if self._kind not in _ID_KINDS:
                self._unexpected(("a node id",))
                self._skip_statement()
                return
            start = self._start
            name, end = self._name()
            nodes.append(self._identifier(name, start, end))
        attributes = self._attributes() if self._kind == "[" else ()
        self._add(EdgeStatement(tuple(nodes), attributes), len(nodes))
        if attributes and self._kind in ("->", "--", BAD_ARROW):
            message = "a chain of edges takes its attributes once, at its end (spec 2.9)"
            self._error("syntax", message, fix="write two edge statements")
            self._skip_statement()

    def _arrow(self) -> None:
        if self._kind == "--":
            message = "undirected edges are not supported (spec 2.3)"
            self._error("undirected_edge", message, fix="did you mean `->`?", expected=("`->`",))
        elif self._kind == BAD_ARROW:
            message = f"unknown edge operator {describe(BAD_ARROW, self._text())}"
            self._error("edge_operator", message, fix="did you mean `->`?", expected=("`->`",))
        self._advance()

    def _edge_to_group(self, node: Identifier) -> None:
        start = self._start
        members = self._skip_group()
        edges = "; ".join(f"{node.text} -> {member}" for member in members[:3])
        more = "; ..." if len(members) > 3 else ""
        fix = f"write one edge per node: {edges}{more}" if members else "write one edge per node"
        message = "an edge cannot end at a group of nodes"
        self.problems.error("edge_to_group", message, start, self._previous_end, fix=fix)
        if self._kind == "[":
            self._attributes()
        elif self._kind in ("->", "--", BAD_ARROW):
            self._skip_statement()

    def _edges_from_group(self) -> None:
        if self._kind in ("->", "--", BAD_ARROW):
            message = "an edge cannot start at a group of nodes"
            self._error("edge_to_group", message, fix="write one edge per node of the group")
            self._skip_statement()

    def _skip_group(self) -> list[str]:
        """Past the group's closing brace; the ids seen on the way."""
        self.complete = False
        members: list[str] = []
        depth = 0
        while self._kind != END:
            if self._kind == "{":
                depth += 1
            elif self._kind == "}":
                depth -= 1
            elif self._kind == WORD and depth and len(members) < 4:
                members.append(self._text())
            self._advance()
            if depth <= 0 and self._previous_kind in ("}", ";"):
                break
        return members

    # --- subgraphs ------------------------------------------------------------------------------------------

    def _open_subgraph(self) -> None:
        start = self._start
        self._advance()
        name = ""
        if self._kind in _ID_KINDS:
            name, _ = self._name()
        if self._kind != "{":
            self._unexpected(("`{`",))
            self._skip_statement()
            return
        self._push_scope(start, name)

    def _group_without_keyword(self) -> None:
        message = "a group of nodes needs the word `subgraph` in front"
        self._error("subgraph_keyword_missing", message, fix="write `subgraph name {`")
        self._push_scope(self._start, "")

    def _push_scope(self, start: int, name: str) -> None:
        if len(self._scopes) == MAX_SUBGRAPH_DEPTH:
            message = f"subgraphs are nested more than {MAX_SUBGRAPH_DEPTH} deep"
            self._error("nesting_limit", message, fix="flatten the graph; subgraphs only scope defaults and classes")
            raise GiveUp
        self._scopes.append(_Scope(start, name, []))
        self._advance()

    def _close_subgraph(self, end: int) -> None:
        scope = self._scopes.pop()
        span = Span(self.source, scope.start, end)
        self._add(SubgraphStatement(scope.name, tuple(scope.statements), span))

    def _unclosed_brace(self) -> None:
        last = self.problems.found[-1].span if self.problems.found else None
        if last is not None and last.start == self._start:
            return  # the end of the file has already been complained about
        opened = self._scopes[-1].start if self._scopes else self._opened_at
        line, column = self.source.position(opened)
        what = "subgraph" if self._scopes else "graph"
        message = f"the file ends inside the {what} opened at line {line}, column {column}"
        self._error("unclosed_brace", message, fix="add the missing `}`", expected=("`}`",))

    # --- complaints -----------------------------------------------------------------------------------------

    def _bad_statement(self) -> None:
        kind = self._kind
        if kind == HASH_LINE:
            self._hash_line()
            return
        if kind in ("->", "--", BAD_ARROW):
            self._error("syntax", "an edge needs a node in front of its arrow", expected=("a node id",))
        elif kind == "[":
            self._error("syntax", "attributes need a node, an edge or `graph`, `node`, `edge` in front")
            self._attributes()
            return
        elif kind in (lexer.HTML, lexer.UNTERMINATED_HTML):
            self._error("html_label", "unexpected `<`", expected=_STATEMENT_STARTS)
        else:
            self._unexpected(_STATEMENT_STARTS)
        self._skip_statement()

    def _misplaced_digraph(self, word: str) -> None:
        message = f"`{word}` inside the graph: graphs cannot be nested, or a `}}` is missing before it"
        self._error(
            "multiple_graphs",
            message,
            fix="close the first graph, keep one digraph per file, or use `subgraph`",
        )
        raise GiveUp

    def _identifier(self, text: str, start: int, end: int) -> Identifier:
        """A node id (spec 2.3); a bad one is reported once and used all the same, so that its edges still
        meet.
        """
        if not (text.isascii() and text.isidentifier()):
            text = self._bad_identifier(text, start, end)
        return Identifier(text, self.source, start, end)

    def _bad_identifier(self, text: str, start: int, end: int) -> str:
        base, colon, port = text.partition(":")
        if colon and base.isidentifier():
            message = f"ports are not supported: `{describe(STRING, text)}`"
            self.problems.error("port", message, start, end, fix=f"write `{base}` without `:{port}`")
            return base
        if text not in self._bad_ids:
            self._bad_ids.add(text)
            shown = f"`{describe(STRING, text)}`" if text else "an empty string"
            message = f"{shown} is no node id: letters, digits and `_`, no digit first (spec 2.3)"
            fix = f'use `{bare_id(text)}` and keep the name in label="..."'
            self.problems.error("node_id_invalid", message, start, end, fix=fix)
        return text
