"""The parser's lower half: the token in hand, names, values and attribute blocks.

Rules kept here: see `parser`. A value that is clearly meant but not legal unquoted (`#ff0000`, `openai/gpt`)
is one complaint and one attribute, not a cascade. Must not know: statements.
"""

import re

from attractor.dot.lexer import (
    BAD_ARROW,
    END,
    HASH_LINE,
    HTML,
    JUNK,
    NUMBER,
    ODD_WORD,
    STRING,
    UNTERMINATED_COMMENT,
    UNTERMINATED_HTML,
    UNTERMINATED_STRING,
    WORD,
    TokenCursor,
    decode_string,
)
from attractor.dot.problems import GiveUp, Problems, describe, junk_fix
from attractor.dot.syntax import Attribute
from attractor.source import Source

__all__ = ["AttributeParser"]

# Spec 2.2 QualifiedId; Graphviz's own keys (`_background`, `K`, `URL`) fit as well.
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_UNQUOTED_RUN = re.compile(r"[^\s,;\]\"]+")
# To the separator at the end of the line or, failing that, of the value: HTML is full of both commas and
# brackets.
_HTML_RUN = re.compile(r"<(?:[^\r\n]*?>(?=[ \t]*[,;\]])|[^,;\]\r\n]*)")
_LINE_BREAK = re.compile(r"[\r\n]")
_FATAL = {
    UNTERMINATED_STRING: ("unterminated_string", "this string is never closed", 'add the closing "'),
    UNTERMINATED_COMMENT: ("unterminated_comment", "this comment is never closed", "add the closing */"),
    UNTERMINATED_HTML: (
        "html_label",
        "HTML labels are not supported, and this `<` is never closed",
        "quote the value",
    ),
}


# An attribute without anything unusual, up to and with the separator after it. Large files are made of
# these, and one match is four times as fast as four tokens. What it does not match goes the long way, with
# the same result.
_PLAIN_ATTRIBUTE = re.compile(
    r"""[ \t\r\n]*+
    ([A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z_][A-Za-z0-9_]*+)*+)
    [ \t]*+ = [ \t]*+
    (?: "([^"\\\r]*+)" | ((?:[A-Za-z_][A-Za-z0-9_.:]*+|-?[0-9]++(?:\.[0-9]++)?+(?:ms|s|m|h|d)?+)) )
    [ \t\r\n]*+ (?: [,;] | (?=\]) )""",
    re.VERBOSE,
)


class AttributeParser(TokenCursor):
    """`complete` turns False when something had to be skipped."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.text)
        self.source = source
        self.problems = Problems(source)
        self.complete = True
        self._opened_at = 0
        self._good_keys: set[str] = set()

    def _error(self, rule: str, message: str, *, fix: str | None = None, expected: tuple[str, ...] = ()) -> None:
        """A complaint about the token in hand."""
        self.problems.error(rule, message, self._start, self._end, fix=fix, expected=expected)

    def _unexpected(self, expected: tuple[str, ...]) -> None:
        fatal = _FATAL.get(self._kind)
        if fatal is not None:
            rule, message, fix = fatal
            line_end = self.source.line_bounds(self.source.position(self._start)[0])[1]
            self.problems.error(rule, message, self._start, min(self._end, line_end), fix=fix)
            raise GiveUp
        text = self._text()
        hint = junk_fix(text) if self._kind == JUNK else None
        self._error("syntax", f"unexpected {describe(self._kind, text)}", fix=hint, expected=expected)

    def _hash_line(self) -> None:
        message = "lines starting with `#` are not supported: neither comments nor preprocessor lines"
        self._error("preprocessor_line", message, fix="write a comment as // or /* */")
        self._advance()

    def _skip_statement(self) -> None:
        """To where the next statement seems to begin: after a `;`, at a brace, or at the next line."""
        self.complete = False
        while self._kind not in (END, "}", "{"):
            ended = self._kind == ";"
            if self._kind in _FATAL:
                self._unexpected(())
            self._advance()
            if ended or _LINE_BREAK.search(self.source.text, self._previous_end, self._start):
                return

    # --- names and values -----------------------------------------------------------------------------------

    def _name(self) -> tuple[str, int]:
        """The id in hand, unchecked, with the offset of its end."""
        if self._kind == STRING:
            text, end = self._string()
        else:
            text, end = self._text(), self._end
            self._advance()
        if self._kind == ":":  # `"a":n`; a bare `a:n` is one word
            start = self._start
            self._advance()
            if self._kind in (WORD, STRING, NUMBER, ODD_WORD):
                self._advance()
            self.problems.error(
                "port",
                "ports are not supported",
                start,
                self._previous_end,
                fix="remove the part after the id",
            )
        return text, end

    def _string(self) -> tuple[str, int]:
        """The quoted string in hand with everything `+` joins to it."""
        text = decode_string(self._text())
        self._advance()
        while self._kind == "+":
            self._advance()
            if self._kind != STRING:
                self._unexpected(("a quoted string after `+`",))
                if self._kind in (WORD, NUMBER, ODD_WORD):
                    self._advance()
                break
            text += decode_string(self._text())
            self._advance()
        return text, self._previous_end

    # --- attribute blocks -----------------------------------------------------------------------------------

    def _attributes(self) -> tuple[Attribute, ...]:
        """All blocks in a row; Graphviz reads `[a=1] [b=2]` as one."""
        found: list[Attribute] = []
        while self._kind == "[":
            if not self._block(found):
                break
        return tuple(found)

    def _block(self, found: list[Attribute]) -> bool:
        """One block into `found`; False when its end could not be found and the next statement is in hand."""
        opened = self._start
        self._plain_attributes(found)
        while self._kind != "]":
            if self._kind not in (WORD, STRING):
                if not self._skip_in_block(opened):
                    return False
                continue
            start, quoted = self._start, self._kind == STRING
            if quoted:
                key, end = self._string()
            else:
                key, end = self._text(), self._end
                self._advance()
            attribute = self._attribute_after_key(key, start, end)
            if attribute is not None:
                found.append(attribute)
            elif not self._skip_in_block(opened, complain=False):
                return False
            if self._kind == "," or self._kind == ";":
                self._plain_attributes(found)
            elif self._kind != "]" and attribute is not None and not self._separator_missing(opened):
                return False
        self._advance()
        return True

    def _plain_attributes(self, found: list[Attribute]) -> None:
        """From a `[` or separator in hand past all plain attributes that follow it."""
        source = self.source
        offset = self._end
        while match := _PLAIN_ATTRIBUTE.match(source.text, offset):
            key, quoted, bare = match.groups()
            start, end = match.span(3) if quoted is None else match.span(2)
            if quoted is None:
                found.append(Attribute(key, bare, source, *match.span(1), start, end, False))
            else:
                found.append(Attribute(key, quoted, source, *match.span(1), start - 1, end + 1))
            offset = match.end()
        if offset == self._end:
            self._advance()
        else:
            self._seek(offset)

    def _attribute_after_key(self, key: str, start: int, end: int) -> Attribute | None:
        """The attribute whose key was just passed, or None after a complaint that leaves the rest to be
        skipped.
        """
        complaints = len(self.problems.found)
        if key not in self._good_keys:
            key = self._checked_key(key, start, end)
        if self._kind == "=":
            self._advance()
        elif self._previous_kind == WORD and self.source.text[end - 1] == ":":
            pass  # `label: "x"`, complained about with the key
        else:
            if self._kind in _FATAL:
                self._unexpected(())
            if len(self.problems.found) == complaints:
                message = f"attribute `{key}` has no value: found {describe(self._kind, self._text())}"
                self._error("syntax", message, fix=f"write {key}=value", expected=("`=`",))
            return None
        kind, value_start = self._kind, self._start
        if kind == STRING:
            text, value_end = self._string()
        elif kind in (WORD, NUMBER):
            text, value_end = self.source.text[value_start : self._end], self._end
            self._advance()
            if self._start == value_end and self._kind not in (",", ";", "]", "}", "[", END, STRING):
                return self._unquoted(key, start, end, value_start)
            if text[-1] == ":" and self.source.text.startswith("//", value_end):
                return self._unquoted(key, start, end, value_start)
        else:
            return self._odd_value(key, start, end)
        return Attribute(key, text, self.source, start, end, value_start, value_end, kind == STRING)

    def _checked_key(self, key: str, start: int, end: int) -> str:
        if _KEY.match(key):
            self._good_keys.add(key)
            return key
        bare = key.rstrip(":")
        if bare != key and _KEY.match(bare):
            self.problems.error("syntax", f"`:` after attribute `{bare}`", end - 1, end, fix=f"write {bare}=value")
            return bare
        name, colon, value = key.partition(":")
        suggestion = f"{name}={value}" if colon and value else re.sub(r"[^A-Za-z0-9_.]+", "_", key)
        message = f"{describe(STRING, key) or 'an empty string'} cannot be an attribute key"
        self.problems.error("attribute_key_invalid", message, start, end, fix=f"write {suggestion}")
        return key

    # --- complaints -----------------------------------------------------------------------------------------

    def _odd_value(self, key: str, start: int, end: int) -> Attribute | None:
        kind, value_start = self._kind, self._start
        if kind in (ODD_WORD, HASH_LINE, BAD_ARROW) or (kind == JUNK and not junk_fix(self._text())):
            return self._unquoted(key, start, end, value_start)
        if kind in (HTML, UNTERMINATED_HTML):
            run = _HTML_RUN.match(self.source.text, value_start)
            value_end = run.end() if run else self._end
            message = "HTML labels are not supported (spec 2.1)"
            self.problems.error("html_label", message, value_start, value_end, fix="use a quoted string")
            self._seek(value_end)
            return self._bare(key, start, end, value_start, value_end)
        if kind in (",", ";", "]", "}"):
            message = f"attribute `{key}` has no value"
            self.problems.error("syntax", message, start, self._previous_end, fix=f'write {key}="" for an empty one')
            return None
        self._unexpected(("a value",))
        return None

    def _unquoted(self, key: str, start: int, end: int, value_start: int) -> Attribute:
        """A value that needs quotes: taken up to the next separator, whatever tokens that was."""
        run = _UNQUOTED_RUN.match(self.source.text, value_start)
        value_end = run.end() if run else value_start + 1
        value = self.source.text[value_start:value_end]
        self.problems.error(
            "value_needs_quotes",
            f"this value of `{key}` needs quotes",
            value_start,
            value_end,
            fix=f'write {key}="{value}"',
        )
        self._seek(value_end)
        return self._bare(key, start, end, value_start, value_end)

    def _bare(self, key: str, start: int, end: int, value_start: int, value_end: int) -> Attribute:
        text = self.source.text[value_start:value_end]
        return Attribute(key, text, self.source, start, end, value_start, value_end, False)

    def _separator_missing(self, opened: int) -> bool:
        """After a value comes neither separator nor `]`: a forgotten comma, a forgotten `]`, or rubbish."""
        if self._kind in (WORD, STRING):
            keyed = self._text().endswith(":") or self._peek_kind() == "="
            if keyed:
                message = "a comma is missing between two attributes (spec 2.3)"
                fix = f"write `, {self._text()}`" if len(self._text()) < 40 else "insert a comma"
                self._error("missing_comma", message, fix=fix, expected=("`,`", "`]`"))
                return True
        return self._skip_in_block(opened)

    def _skip_in_block(self, opened: int, *, complain: bool = True) -> bool:
        """Past what is no attribute. False: the block's `]` is missing and the next statement is in hand."""
        if self._block_is_over():
            if complain:
                self._unclosed_block(opened)
            return False
        if complain:
            self._unexpected(("an attribute", "`]`"))
        self.complete = False
        while self._kind not in (",", ";", "]"):
            if self._kind in _FATAL:
                self._unexpected(())
            if self._block_is_over():
                return False
            self._advance()
        if self._kind != "]":
            self._advance()
        return True

    def _block_is_over(self) -> bool:
        if self._kind in ("->", "--", "{", "}", END):
            return True
        new_line = _LINE_BREAK.search(self.source.text, self._previous_end, self._start)
        return bool(new_line) and self._kind == WORD and self._peek_kind() in ("[", "->", "--", "{")

    def _unclosed_block(self, opened: int) -> None:
        self.complete = False
        line, column = self.source.position(opened)
        message = f"the attribute block opened at line {line}, column {column} is not closed before this"
        self._error("unclosed_bracket", message, fix="add the missing `]`", expected=("`,`", "`]`"))
