"""Which CXDB a session runs against, as it is said on the command line: embedded, in a container, or one that is there.

Pure: words in, a value out, and back to words. Whether the machine has what is asked for is seen in `cxdb_supply.py`.
"""

from __future__ import annotations

import dataclasses
import enum
import re

__all__ = ["DEFAULT_BASE_IMAGE", "DEFAULT_IMAGE", "EMBEDDED", "CxdbChoice", "CxdbKind", "parse_cxdb"]

DEFAULT_IMAGE = "cxdb/cxdb:latest"  # as published by the CXDB project
DEFAULT_BASE_IMAGE = "python:3.12-slim"
BUILD = "build"

_ALLOWED = "embedded, container, or HOST:PORT:HTTP_PORT of a running server, such as 127.0.0.1:9009:9010"
_GIVEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/\[\]]+):(?P<port>\d+):(?P<http_port>\d+)", re.ASCII)
_IMAGE = re.compile(r"[a-z0-9][\w.:/@-]*", re.ASCII)


class CxdbKind(enum.StrEnum):
    EMBEDDED = "embedded"
    CONTAINER = "container"
    GIVEN = "given"  # somebody else's: it is written to, never harmed


@dataclasses.dataclass(frozen=True, slots=True)
class CxdbChoice:
    """`image` and `base_image` are a container's; the image "build" is made from the base image when it is needed.
    `host`, with brackets where it is IPv6, and the ports are those of a given server.
    """

    kind: CxdbKind = CxdbKind.EMBEDDED
    image: str = DEFAULT_IMAGE
    base_image: str = DEFAULT_BASE_IMAGE
    host: str = ""
    port: int = 0
    http_port: int = 0

    @property
    def is_built(self) -> bool:
        return self.kind is CxdbKind.CONTAINER and self.image == BUILD

    @property
    def binary_addr(self) -> str:
        """Of a given server."""
        return f"{self.host}:{self.port}"

    @property
    def http_base_url(self) -> str:
        """Of a given server."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def label(self) -> str:
        """For reports."""
        match self.kind:
            case CxdbKind.EMBEDDED:
                return "embedded"
            case CxdbKind.CONTAINER:
                return f"container, built on {self.base_image}" if self.is_built else f"container {self.image}"
            case CxdbKind.GIVEN:
                return self.binary_addr

    def words(self, prefix: str = "--") -> list[str]:
        """The options that say the same; none for what goes without saying. `prefix` is "--harness-" for pytest."""
        match self.kind:
            case CxdbKind.EMBEDDED:
                return []
            case CxdbKind.GIVEN:
                return [f"{prefix}cxdb={self.host}:{self.port}:{self.http_port}"]
            case CxdbKind.CONTAINER:
                words = [f"{prefix}cxdb=container"]
                words += [f"{prefix}cxdb-image={self.image}"] if self.image != DEFAULT_IMAGE else []
                other_base = self.is_built and self.base_image != DEFAULT_BASE_IMAGE
                return words + ([f"{prefix}cxdb-base-image={self.base_image}"] if other_base else [])


EMBEDDED = CxdbChoice()


def parse_cxdb(
    text: str | None = None, image: str | None = None, base_image: str | None = None, prefix: str = "--"
) -> CxdbChoice:
    """The choice that the options make, None for one that was not given. Raises ValueError, with what is allowed."""
    text = "embedded" if text is None else text
    if image is not None and text != "container":
        raise ValueError(f"{prefix}cxdb-image goes with {prefix}cxdb container")
    if base_image is not None and image != BUILD:
        raise ValueError(f"{prefix}cxdb-base-image goes with {prefix}cxdb container {prefix}cxdb-image build")
    if text == "embedded":
        return EMBEDDED
    if text != "container":
        return _given(text, prefix)
    for option, name in ((f"{prefix}cxdb-image", image), (f"{prefix}cxdb-base-image", base_image)):
        if name is not None and not _IMAGE.fullmatch(name):
            raise ValueError(f"{option} {name!r}: not the name of an image; they look like {DEFAULT_IMAGE}")
    return CxdbChoice(CxdbKind.CONTAINER, image or DEFAULT_IMAGE, base_image or DEFAULT_BASE_IMAGE)


def _given(text: str, prefix: str) -> CxdbChoice:
    match = _GIVEN.fullmatch(text)
    if match is None:
        hint = "; an IPv6 host goes into brackets: [::1]:9009:9010" if text.count(":") > 2 else ""
        raise ValueError(f"{prefix}cxdb {text!r}: allowed are {_ALLOWED}{hint}")
    ports = int(match["port"]), int(match["http_port"])
    for port in ports:
        if not 1 <= port <= 65535:
            raise ValueError(f"{prefix}cxdb {text!r}: {port} is no port; ports are numbers from 1 to 65535")
    if ports[0] == ports[1]:
        raise ValueError(f"{prefix}cxdb {text!r}: the binary port and the HTTP port are two ports, not one")
    return CxdbChoice(CxdbKind.GIVEN, host=match["host"], port=ports[0], http_port=ports[1])
