"""results.jsonl: one case a line, for programs that compare sessions.

Rules: each line stands alone and begins with `format` and `version`, so that lines of many sessions
can be put into one file; `harness.results.from_json` reads it too, for it passes over those two.
`version` rises when the meaning of a field changes, not when a field is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from harness.report.session import Session
from harness.results import CaseResult, from_json

__all__ = ["FORMAT", "VERSION", "read_jsonl", "render_jsonl"]

FORMAT = "attractor-harness.results"
VERSION = 1


def render_jsonl(session: Session) -> bytes:
    return b"".join(_line(case) + b"\n" for case in session.cases)


def _line(case: CaseResult) -> bytes:
    fields = {"format": FORMAT, "version": VERSION, **cast("dict[str, object]", msgspec.to_builtins(case))}
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError:  # a lone surrogate: a file name or an output that was never UTF-8
        return msgspec.json.encode(_without_surrogates(fields))


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(each) for each in value]
    return value


class _Header(msgspec.Struct):
    format: str
    version: int


def read_jsonl(data: bytes) -> Iterator[CaseResult]:
    """The cases of a results file; raises ValueError naming the line that is not one of this version."""
    # Only line feeds end a line: JSON strings may hold every other character splitlines() breaks at.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            header = msgspec.json.decode(line, type=_Header)
            if (header.format, header.version) != (FORMAT, VERSION):
                raise ValueError(f"expected {FORMAT} version {VERSION}, found {header.format} {header.version}")
            yield from_json(line)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ValueError(f"results line {number}: {error}") from error
