"""Concrete entries to lines: the one layout of a graph file.

Rules kept here:
- A statement a line, two spaces an open brace, no `;`. At most one empty line between two statements, where the
  author left some; none behind `{` and none in front of `}`.
- Attributes stand on their statement's line where all of it fits into LINE_LENGTH, else each on a line of its own.
  A comment that needs its line, an empty line between attributes, or a value with line breaks decides for the latter.
- A chain that does not fit goes on in the next line, in front of `->`; a value joined with `+`, behind the `+`.
- Comments at the end of a line keep two spaces before them. Lines of a block comment that begin with `*` are aligned.
- `#` lines start in the first column: elsewhere Graphviz does not take them for comments.

Must not know: tokens.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from attractor.dot.parts import Attribute, Block, Brace, Chain, Entry, Part
from attractor.dot.trivia import Comment

__all__ = ["LINE_LENGTH", "laid_out"]

# What fits beside another file on a screen; the prompts of agents are longer anyway, and have lines of their own.
LINE_LENGTH = 100
_STEP = "  "


def laid_out(entries: Sequence[Entry]) -> list[str]:
    """The lines of a file, without their ends. A line has line breaks only inside strings and block comments."""
    printer = _Printer()
    for entry in entries:
        printer.entry(entry)
    return printer.lines


class _Printer:
    """`_is_first`: nothing has been printed since the last opening brace or bracket, so no empty line may follow.
    `_opened`: the brace printed last.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0
        self._opened = Brace()
        self._is_first = True

    def entry(self, entry: Entry) -> None:
        if isinstance(entry, Brace):
            self._brace(entry)
            return
        indent = _STEP * self._depth
        self._comments(entry.above, indent)
        if isinstance(entry, Chain):
            self._blank_line(entry.after_blank)
            self._chain(entry, indent)
        elif isinstance(entry, Attribute):
            self._blank_line(entry.after_blank)
            self._attribute(entry, indent, "")

    # --- lines ----------------------------------------------------------------------------------------------

    def _line(self, text: str, trailing: Iterable[Comment] = ()) -> None:
        comments = " ".join(comment.text for comment in trailing)
        self.lines.append(f"{text}{_STEP}{comments}" if comments else text)
        self._is_first = False

    def _blank_line(self, wanted: bool) -> None:
        if wanted and not self._is_first:
            self.lines.append("")
        self._is_first = False

    def _comments(self, comments: Iterable[Comment], indent: str) -> None:
        for comment in comments:
            self._blank_line(comment.after_blank)
            self._line(_own_line(comment, indent))

    # --- statements -----------------------------------------------------------------------------------------

    def _brace(self, brace: Brace) -> None:
        inner = brace.depth if brace.opens else brace.depth + 1
        self._comments(brace.above, _STEP * inner)
        text = _STEP * brace.depth + _inline(brace.before) + brace.text
        if brace.opens:
            self._blank_line(brace.after_blank)
        elif self._is_first and not self._opened.trailing:
            text = f"{self.lines.pop()}}}"
        self._line(text, brace.trailing)
        self._opened = brace
        self._depth = brace.depth + brace.opens
        self._is_first = brace.opens

    def _chain(self, chain: Chain, indent: str) -> None:
        last = chain.nodes[0]
        line = indent + _inline(chain.before) + last.text
        for node in chain.nodes[1:]:
            link = f"-> {_inline(node.before)}{node.text}"
            if last.trailing or node.above or not _fits(f"{line}{_after(last)} {link}"):
                self._line(line, (*last.after, *last.trailing))
                self._comments(node.above, indent + _STEP * 2)
                line = indent + _STEP * 2 + link
            else:
                line = f"{line}{_after(last)} {link}"
            last = node
        if chain.block is None:
            self._line(line, (*last.after, *chain.trailing))
        else:
            self._block(chain.block, line + _after(last), indent, chain.trailing)

    def _block(self, block: Block, head: str, indent: str, trailing: Sequence[Comment]) -> None:
        line = f"{head} [{', '.join(_on_one_line(attribute) for attribute in block.attributes)}]"
        if _may_be_one_line(block) and _fits(line):
            self._line(line, trailing)
            return
        self._line(f"{head} [", block.opening)
        self._is_first = True
        inner = indent + _STEP
        for attribute in block.attributes:
            self._comments(attribute.above, inner)
            self._blank_line(attribute.after_blank)
            self._attribute(attribute, inner, "" if attribute is block.attributes[-1] else ",")
        self._comments(block.closing, inner)
        self._line(f"{indent}]", trailing)

    def _attribute(self, attribute: Attribute, indent: str, separator: str) -> None:
        """An attribute on lines of its own. Without a separator, nothing is between comments after it and the
        line's end.
        """
        end = _after(attribute) + separator if separator else ""
        trailing = attribute.trailing if separator else (*attribute.after, *attribute.trailing)
        line = indent + _without_after(attribute) + end
        if len(attribute.pieces) == 1 or (not _breaks(attribute.pieces) and _fits(line)):
            self._line(line, trailing)
            return
        lead = indent + _inline(attribute.before) + attribute.text
        for piece, following in pairwise(attribute.pieces):
            self._line(f"{lead}{_joined(piece)} +", piece.trailing)
            lead = indent + _STEP
            self._comments(following.above, lead)
        self._line(lead + _joined(attribute.pieces[-1]) + end, trailing)


def _own_line(comment: Comment, indent: str) -> str:
    if comment.text.startswith("#"):
        return comment.text
    first, *others = comment.text.split("\n")
    if others and all(line.lstrip().startswith("*") for line in others):
        others = [f"{indent} {line.lstrip()}" for line in others]
    return "\n".join([indent + first, *others])


def _inline(comments: Iterable[Comment]) -> str:
    return "".join(f"{comment.text} " for comment in comments)


def _after(part: Part) -> str:
    return "".join(f" {comment.text}" for comment in part.after)


def _joined(piece: Part) -> str:
    return _inline(piece.before) + piece.text


def _without_after(attribute: Attribute) -> str:
    value = " + ".join(_joined(piece) for piece in attribute.pieces)
    return f"{_inline(attribute.before)}{attribute.text}{value}"


def _on_one_line(attribute: Attribute) -> str:
    return _without_after(attribute) + _after(attribute)


def _fits(line: str) -> bool:
    return len(line) <= LINE_LENGTH and "\n" not in line and "\r" not in line


def _breaks(pieces: Iterable[Part]) -> bool:
    return any(piece.above or piece.trailing for piece in pieces)


def _may_be_one_line(block: Block) -> bool:
    """Whether nothing in it needs a line of its own. An empty line in front of the first attribute does not count."""
    if block.opening or block.closing:
        return False
    return not any(
        attribute.above
        or attribute.trailing
        or _breaks(attribute.pieces)
        or (attribute.after_blank and attribute is not block.attributes[0])
        for attribute in block.attributes
    )
