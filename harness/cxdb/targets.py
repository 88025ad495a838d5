"""A request target taken apart the way the real server's URL library does it.

Path segments stay percent-encoded (so an id with an encoded slash is not found, there and here); `.` and
`..` are resolved; of a repeated query parameter the last one counts. Pure.
"""

from __future__ import annotations

import re

import msgspec

from harness.cxdb.registry import maybe_unsigned

__all__ = ["Target", "parse_target"]

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class Target(msgspec.Struct, frozen=True):
    """`segments` of the path, `query` decoded."""

    segments: tuple[str, ...]
    query: dict[str, str]

    def number(self, name: str, largest: int, default: int) -> int:
        """A numeric parameter; what is no number in range counts as absent."""
        number = maybe_unsigned(self.query.get(name, ""), largest)
        return default if number is None else number


def parse_target(target: str) -> Target:
    path, _, query = target.partition("#")[0].partition("?")
    if not path.startswith("/"):
        return Target((), {})  # an absolute or asterisk target: there is no such page
    segments: list[str] = []
    parts = path.replace("\\", "/")[1:].split("/")
    for index, part in enumerate(parts):
        dots = part.lower().replace("%2e", ".")
        if dots not in (".", ".."):
            segments.append(part)
            continue
        if dots == ".." and segments:
            segments.pop()
        if index == len(parts) - 1:
            segments.append("")
    return Target(tuple(segments), dict(map(_parameter, filter(None, query.split("&")))))


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    raw = text.replace("+", " ").encode()
    return _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), raw).decode(errors="replace")
