"""Source text to tokens, with one compiled pattern.

Rules kept here:
- Every character belongs to a token, to white space or to a comment, so lexing cannot fail: what makes no
  sense becomes a token the parser complains about, at its place.
- Linear time whatever the input: all repetitions are possessive, and an unterminated string or comment takes
  the rest of the text in one token.
- Tokens are made as they are asked for; a parser that gives up leaves the rest of a huge file unread.

Must not know: grammar. `a-b` is one word here; whether it may stand as a node id is the parser's business.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "BAD_ARROW",
    "BLOCK_COMMENT",
    "END",
    "HASH_LINE",
    "HTML",
    "JUNK",
    "LINE_COMMENT",
    "NUMBER",
    "ODD_WORD",
    "STRING",
    "UNTERMINATED_COMMENT",
    "UNTERMINATED_HTML",
    "UNTERMINATED_STRING",
    "WORD",
    "Token",
    "TokenCursor",
    "decode_string",
    "decoded_offsets",
    "tokens",
    "tokens_and_comments",
]

WORD = "word"  # identifier, dotted key or bare value; also what only looks like one (`a-b`, `a:n`)
STRING = "string"
NUMBER = "number"  # integer, float or duration
ODD_WORD = "odd word"  # begins like a number or colour and is neither an id nor a legal bare value: `4o`, `#ff0000`
HASH_LINE = "preprocessor line"
HTML = "html"
BAD_ARROW = "arrow"  # `=>`, `<-`, `→` and other things people type for `->`
JUNK = "junk"
UNTERMINATED_STRING = "unterminated string"
UNTERMINATED_COMMENT = "unterminated comment"
UNTERMINATED_HTML = "unterminated html"
END = "end of file"
# Not for parsers: only `tokens_and_comments` gives these.
LINE_COMMENT = "line comment"
BLOCK_COMMENT = "block comment"


class Token(NamedTuple):
    """A kind, which for punctuation is the punctuation itself, and the offsets of its text."""

    kind: str
    start: int
    end: int


# Hyphens belong to a bare value (spec 2.2) unless they begin `->` or `--`, so that `a->b` needs no spaces.
_TOKEN = re.compile(
    r"""
    (?: [ \t\r\n\f\v\xa0]++ | //[^\r\n]*+ | /\*(?>.*?\*/) )*+
    (?:
      ( [^\W\d][\w.:]*+ (?: -(?![->]) [\w.:]*+ )*+ )            # 1 word
    | ( " (?: [^"\\]++ | \\. )*+ " )                            # 2 string
    | ( ->(?!>) | --(?![>-]) | =(?!>) | [{}\[\];,:+] )          # 3 punctuation
    | ( -?(?: \d++(?:\.\d*+)? | \.\d++ )(?:ms|s|m|h|d)?(?![\w.:]|-\w) )  # 4 number
    | ( -?\d[\w.:]*+ (?: -(?![->]) [\w.:]*+ )*+ | (?:(?<==)|(?<==\ ))\#[0-9A-Fa-f]{3,8}\b )  # 5 odd word
    | ( \#[^\r\n]*+ )                                           # 6 preprocessor line
    | ( =>|<-{1,4}+>?|<=>?|-->|->>|[-–—]{1,4}+>|>|[→⇒⟶⟹] )                # 7 arrow in another spelling
    | ( < )                                                     # 8 html, found by counting below
    | ( ".*+ )                                                  # 9 unterminated string
    | ( /\*.*+ )                                                # 10 unterminated comment
    | ( [^\w\s"<>{}\[\]=;,:+\#/-]++ | . )                       # 11 junk
    | ( \Z )                                                    # 12 end
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS = (
    "",
    WORD,
    STRING,
    "",
    NUMBER,
    ODD_WORD,
    HASH_LINE,
    BAD_ARROW,
    HTML,
    UNTERMINATED_STRING,
    UNTERMINATED_COMMENT,
    JUNK,
    END,
)
_PUNCTUATION, _HTML = 3, 8
_ANGLE = re.compile(r"[<>]")


class TokenCursor:
    """The tokens of a text, one in hand at a time: `_kind`, `_start`, `_end`. After the last one END stays
    in hand.

    A base class rather than a generator because a parser of large files asks for hundreds of thousands of
    tokens.
    """

    def __init__(self, text: str) -> None:
        self._whole_text = text
        self._kind, self._start, self._end = END, 0, 0
        self._previous_kind, self._previous_end = "", 0
        self._matches = _TOKEN.finditer(text)
        self._advance()

    def _advance(self) -> None:
        self._previous_kind, self._previous_end = self._kind, self._end
        match = next(self._matches, None)
        if match is None:
            self._kind, self._start = END, self._end
            return
        group = match.lastindex
        self._start, self._end = match.span(group)  # type: ignore[arg-type]  # every alternative is a group
        if group == _PUNCTUATION:
            self._kind = self._whole_text[self._start : self._end]
        else:
            self._kind = _KINDS[group]  # type: ignore[index]
            if group == _HTML:
                self._take_html()

    def _seek(self, offset: int) -> None:
        """Puts the first token at or after an offset in hand."""
        self._end = offset
        self._matches = _TOKEN.finditer(self._whole_text, offset)
        self._advance()

    def _text(self) -> str:
        return self._whole_text[self._start : self._end]

    def _peek_kind(self) -> str:
        """The kind of the token after this one. For places where something is wrong: it reads the token
        twice.
        """
        here = (self._kind, self._start, self._end, self._previous_kind, self._previous_end)
        self._advance()
        kind = self._kind
        self._kind, self._start, self._end, self._previous_kind, self._previous_end = here
        self._matches = _TOKEN.finditer(self._whole_text, self._end)
        return kind

    def _take_html(self) -> None:
        """From `<` to the `>` that balances it, or everything that is left when none does."""
        depth = 0
        self._kind, self._end = UNTERMINATED_HTML, len(self._whole_text)
        for angle in _ANGLE.finditer(self._whole_text, self._start):
            depth += 1 if angle.group() == "<" else -1
            if depth == 0:
                self._kind, self._end = HTML, angle.end()
                break
        self._matches = _TOKEN.finditer(self._whole_text, self._end)


class _AllTokens(TokenCursor):
    def each(self) -> Iterator[Token]:
        while self._kind != END:
            yield Token(self._kind, self._start, self._end)
            self._advance()
        yield Token(END, self._start, self._end)


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a text; the last one is END."""
    return _AllTokens(text).each()


_COMMENT = re.compile(r"//[^\r\n]*+|/\*(?>.*?\*/)", re.DOTALL)


def tokens_and_comments(text: str) -> Iterator[Token]:
    """All tokens with the comments between them; the last one is END.

    Comments are looked for a second time, in the gaps the tokens leave, so that whoever has no use for them pays
    nothing.
    """
    gap_start = 0
    for token in tokens(text):
        if text.find("/", gap_start, token.start) >= 0:
            for match in _COMMENT.finditer(text, gap_start, token.start):
                yield Token(LINE_COMMENT if match.group()[1] == "/" else BLOCK_COMMENT, *match.span())
        yield token
        gap_start = token.end


_ESCAPE = re.compile(r"\\(\r\n|.)|\r\n", re.DOTALL)
# Spec 2.2 has four escapes. A backslash before a line break joins the lines, as in Graphviz. All others
# (`\l`, `\r`, `\N`, ...) mean something in labels when the graph is drawn and stay as they are.
_DECODED = {'"': '"', "n": "\n", "t": "\t", "\\": "\\", "\n": "", "\r\n": ""}


def decode_string(literal: str) -> str:
    """The text a quoted literal stands for; a CRLF inside it becomes one line feed."""
    body = literal[1:-1]
    if "\\" not in body and "\r" not in body:
        return body
    return _ESCAPE.sub(_decode_escape, body)


def _decode_escape(match: re.Match[str]) -> str:
    escaped: str | None = match.group(1)
    if escaped is None:
        return "\n"
    return _DECODED.get(escaped, match.group())


def decoded_offsets(literal: str) -> list[int]:
    """For each character of the decoded text, and for its end, the offset in the literal it came from."""
    offsets: list[int] = []
    position = 1
    body_end = len(literal) - 1
    for match in _ESCAPE.finditer(literal, 1, body_end):
        offsets.extend(range(position, match.start()))
        offsets.extend([match.start()] * len(_decode_escape(match)))
        position = match.end()
    offsets.extend(range(position, body_end + 1))
    return offsets
