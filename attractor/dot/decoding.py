"""Bytes of a graph file to text, with a complaint instead of an exception whatever they are.

Rules kept here: a graph file is UTF-8, with or without a byte order mark. The mark is dropped, so that
offsets and columns count what an editor shows. Must not know: tokens, grammar.
"""

import codecs

from attractor.diagnostics import Diagnostic, Severity
from attractor.source import Source, Span

__all__ = ["MAX_SOURCE_SIZE", "decode_source"]

# Ten times the largest graph anybody has drawn by program here; past it the file is something else.
MAX_SOURCE_SIZE = 64 * 1024 * 1024

_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def decode_source(data: str | bytes, name: str) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The text as a Source and what is wrong with its encoding. After a complaint the text may be empty."""
    if len(data) > MAX_SOURCE_SIZE:
        message = f"the file is too large: {len(data):,} bytes, at most {MAX_SOURCE_SIZE:,} are read"
        return _refused(name, "file_too_large", message, "split the pipeline, or generate a smaller graph")
    text, invalid = (data, None) if isinstance(data, str) else _decode(data)
    if isinstance(data, bytes):
        wide = next((label for mark, label in _WIDE_MARKS if data.startswith(mark)), None)
        if wide:
            return _refused(name, "encoding", f"the file is {wide}, not UTF-8", "save it as UTF-8")
    source = Source(text.removeprefix("\ufeff"), name)
    nul = source.text.find("\0")
    if nul >= 0:
        message = "the file holds a NUL character: it looks like a binary file, not a graph"
        problem = Diagnostic(
            "binary_file", Severity.ERROR, message, Span(source, nul, nul + 1), fix="pass a DOT text file"
        )
        return Source("", name), (problem,)
    return source, () if invalid is None else (_not_utf8(source, invalid),)


def _decode(data: bytes) -> tuple[str, UnicodeDecodeError | None]:
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return data.decode("utf-8", errors="replace"), error


def _not_utf8(source: Source, error: UnicodeDecodeError) -> Diagnostic:
    # What stands before the first bad byte decodes cleanly, so its length is the offset; the mark is not
    # counted.
    before = error.object[: error.start].decode("utf-8").removeprefix("\ufeff")
    message = f"byte 0x{error.object[error.start]:02x} at byte offset {error.start} is not UTF-8 ({error.reason})"
    span = Span(source, len(before), len(before) + 1)
    return Diagnostic("encoding", Severity.ERROR, message, span, fix="save the file as UTF-8")


def _refused(name: str, rule: str, message: str, fix: str) -> tuple[Source, tuple[Diagnostic, ...]]:
    source = Source("", name)
    return source, (Diagnostic(rule, Severity.ERROR, message, Span(source, 0, 0), fix=fix),)
