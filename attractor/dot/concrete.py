"""Reads a graph file as it is written: entries with their comments, in canonical spelling, without any layout.

Rules kept here:
- Every comment of the file hangs on exactly one part, in the order of the file.
- What carries no meaning is gone: `;`, `,`, empty attribute blocks of nodes and edges, blocks in a row (they are one).
- The lines of a statement are the printer's, with one exception: a comment that ends its line, or has lines of its
  own, keeps them.
- Only files without problems are read; anything else is a bug of the caller (InternalError).

Must not know: line length, indentation.
"""

from attractor.dot.lexer import END, NUMBER, ODD_WORD, STRING, WORD, decode_string
from attractor.dot.parts import Attribute, Block, Brace, Chain, Entry, Part
from attractor.dot.spelling import IsText, spelled_id, spelled_key, spelled_value
from attractor.dot.trivia import Comment, Gap, Lexeme, lexemes, split_gap
from attractor.errors import InternalError

__all__ = ["concrete_entries"]


_DEFAULT_TARGETS = frozenset({"graph", "node", "edge"})


def concrete_entries(text: str, is_text: IsText) -> list[Entry]:
    """All entries of a file without problems, braces included."""
    return _Reader(text, is_text).entries()


class _Reader:
    """`_pending` are comments passed since the last part and not yet given to one; `_blank`: an empty line among
    what was passed.
    """

    def __init__(self, text: str, is_text: IsText) -> None:
        self._lexemes = lexemes(text)
        self._is_text = is_text
        self._here: Lexeme = next(self._lexemes)
        self._pending: list[Comment] = []
        self._blank = False
        self._found: list[Entry] = []

    def entries(self) -> list[Entry]:
        depth = 0
        while self._here.kind != END:
            kind, text = self._here.kind, self._here.text
            if kind == ";":
                self._separator(self._found[-1], ends_line=True)
            elif kind == "}":
                depth -= 1
                self._close(depth)
            elif kind == WORD and text in ("digraph", "subgraph"):
                self._open(depth)
                depth += 1
            elif kind in (WORD, STRING):
                self._statement()
            else:
                raise self._unexpected()
        self._begin(end := Part())
        self._found.append(end)
        return self._found

    # --- the lexeme in hand ---------------------------------------------------------------------------------

    def _take(self) -> Lexeme:
        """The lexeme in hand, its comments added to the pending ones."""
        taken = self._here
        if taken.comments:
            first, *others = taken.comments
            self._pending += [first._replace(after_blank=first.after_blank or self._blank), *others]
            self._blank = False
        self._blank |= taken.after_blank
        if taken.kind != END:
            self._here = next(self._lexemes)
        return taken

    def _expect(self, kind: str) -> None:
        if self._here.kind != kind:
            raise self._unexpected()
        self._take()

    def _unexpected(self) -> InternalError:
        return InternalError(f"the formatter met {self._here.text!r} at offset {self._here.start}, the parser did not")

    def _gap(self) -> Gap:
        """The pending comments in their three parts; none is pending afterwards."""
        gap = split_gap(self._pending)
        self._pending = []
        return gap

    def _begin(self, part: Part, previous: Part | None = None) -> Lexeme:
        """Takes the part's first lexeme, and deals the comments before it to it and to the part it follows."""
        lexeme = self._take()
        gap = self._gap()
        owner = previous if previous is not None else self._found[-1] if self._found else None
        part.above = self._given_to_line_end(owner, gap)
        part.before = gap.inline
        part.after_blank = gap.inline[0].after_blank if gap.inline else self._blank
        self._blank = False
        return lexeme

    def _append(self, entry: Entry) -> None:
        """Adds an entry that is complete; empty lines inside it count for nothing."""
        self._found.append(entry)
        self._blank = False

    def _given_to_line_end(self, owner: Part | None, gap: Gap) -> tuple[Comment, ...]:
        """Puts the gap's trailing comments behind `owner`; what cannot stand there, and the comments above."""
        if owner is None or owner.trailing:
            return gap.trailing + gap.above
        owner.trailing = gap.trailing
        return gap.above

    def _separator(self, owner: Part, *, ends_line: bool = False) -> None:
        """Passes a `,`, `;`, `]` or `->`: comments directly in front of it belong to the part before it.

        `ends_line`: nothing of that part's line follows, so that they are at its end.
        """
        self._take()
        gap = self._gap()
        if gap.trailing or gap.above:
            self._pending = [*self._given_to_line_end(owner, gap), *gap.inline]
        elif ends_line:
            self._pending = list(self._given_to_line_end(owner, Gap(gap.inline, (), ())))
        else:
            owner.after += gap.inline

    # --- braces ---------------------------------------------------------------------------------------------

    def _open(self, depth: int) -> None:
        brace = Brace(depth=depth)
        words = [self._begin(brace).text]
        name: list[Lexeme] = []
        while self._here.kind != "{":
            if self._here.kind not in (WORD, STRING, NUMBER, ODD_WORD, "+"):
                raise self._unexpected()
            name.append(self._take())
            words += [*self._inline_before(), name[-1].text]
        if len(name) == 1:
            words[-1] = spelled_id(name[0].kind, name[0].text)
        self._take()
        brace.text = " ".join([*words, *self._inline_before(), "{"])
        self._append(brace)

    def _inline_before(self) -> list[str]:
        """The pending comments that may stay in the middle of a line; the others wait for the end of it."""
        gap = split_gap(self._pending)
        self._pending = [*gap.trailing, *gap.above]
        return [comment.text for comment in gap.inline]

    def _close(self, depth: int) -> None:
        brace = Brace("}", depth=depth, opens=False)
        self._begin(brace)
        brace.above += brace.before
        brace.before = ()
        self._found.append(brace)

    # --- statements -----------------------------------------------------------------------------------------

    def _statement(self) -> None:
        chain = Chain()
        first = self._begin(chain)
        name, lexeme = self._rest_of_name(chain, first)
        if self._here.kind == "=":
            attribute = Attribute(name, chain.above, chain.before, after_blank=chain.after_blank)
            self._value(attribute, first.kind)
            self._append(attribute)
            if self._here.kind == ",":
                self._separator(attribute, ends_line=True)
            return
        is_defaults = first.kind == WORD and first.text in _DEFAULT_TARGETS
        chain.nodes.append(Part(first.text if is_defaults else spelled_id(lexeme.kind, lexeme.text)))
        while self._here.kind == "->":
            self._link(chain)
        if self._here.kind == "[":
            block = self._block(chain.nodes[-1])
            if is_defaults or not block.is_empty:
                chain.block = block
        self._append(chain)

    def _rest_of_name(self, part: Part, first: Lexeme) -> tuple[str, Lexeme]:
        """A name that may be joined from several strings: decoded, and as one lexeme. Comments in it go above it."""
        if first.kind != STRING:
            return first.text, first
        name = decode_string(first.text)
        if self._here.kind != "+":
            return name, first
        while self._here.kind == "+":
            self._take()
            name += decode_string(self._take().text)
        part.above += tuple(self._pending)
        self._pending = []
        return name, first._replace(text=f'"{name}"')

    def _link(self, chain: Chain) -> None:
        previous = chain.nodes[-1]
        self._separator(previous)
        node = Part()
        first = self._begin(node, previous)
        _, lexeme = self._rest_of_name(node, first)
        node.text = spelled_id(lexeme.kind, lexeme.text)
        chain.nodes.append(node)

    # --- attributes -----------------------------------------------------------------------------------------

    def _block(self, owner: Part) -> Block:
        """All blocks in a row as one. Comments between the owner and the `[` that end their line come into it."""
        block = Block()
        self._take()
        if not any(comment.ends_line for comment in self._pending):
            owner.after += self._gap().inline
        opening = Part()
        last: Part = opening
        while True:
            if self._here.kind == "]":
                self._separator(last)
                if self._here.kind != "[":
                    break
                self._take()
            elif self._here.kind in (",", ";"):
                self._separator(last)
            else:
                last = self._attribute(last)
                block.attributes.append(last)
        block.opening = opening.trailing
        block.closing = (*opening.after, *self._pending)
        self._pending = []
        return block

    def _attribute(self, previous: Part) -> Attribute:
        attribute = Attribute()
        first = self._begin(attribute, previous)
        attribute.text, _ = self._rest_of_name(attribute, first)
        self._value(attribute, first.kind)
        return attribute

    def _value(self, attribute: Attribute, key_kind: str) -> None:
        """From the `=` past the value; `attribute.text` is the decoded key and becomes all that precedes the value."""
        key = attribute.text
        self._expect("=")
        words = [spelled_key(key_kind, key), *self._inline_before(), "="]
        comments = len(words) > 2
        lexeme = self._take()
        inline = self._inline_before()
        comments |= bool(inline)
        attribute.text = " ".join([*words, *inline, ""]) if comments else "".join(words)
        attribute.above += tuple(self._pending)
        self._pending = []
        piece = Part()
        attribute.pieces.append(piece)
        if self._here.kind != "+":
            piece.text = spelled_value(key, lexeme.kind, lexeme.text, self._is_text)
            return
        piece.text = lexeme.text
        while self._here.kind == "+":
            self._take()
            piece = Part()
            piece.text = self._begin(piece, attribute.pieces[-1]).text
            attribute.pieces.append(piece)
