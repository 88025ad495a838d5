"""Every error of the embedded CXDB, split by who must act.

    CxdbError
      FrameError               the peer broke the wire format
        OversizedFrame           it announced more than a frame may hold
        MalformedPayload         the payload is short, or holds text that is not UTF-8
      RequestRefused           the request is well formed and cannot be served
        NotFound                 it names a context, turn, blob or type that is not there
        InvalidInput             it contradicts itself or what is stored
        StoredDataInvalid        what it leads to is stored, and is not what it should be
      ServerFailed             the machine or its operator must act
        UsageError               an option has no meaning
        AddressUnavailable       a port is taken, or a host is unknown
        DataDirUnusable          the data directory cannot be written, or has another owner
        CorruptLog               the log was damaged before its end
        ServerNotReady           a child server did not come up (its output is kept)
        ContainerFailed          a server in a container cannot be had
          PackagesMissing          the Python packages that speak to a container engine are not installed
          EngineUnavailable        no container engine, or none that may be used
          ImageUnavailable         the image is not there and cannot be pulled or built
          ContainerNotReady        the container did not come up (the end of its log is kept)
      ReaderError              reading a CXDB over HTTP gave no usable answer
        CxdbUnreachable          no answer at all: nothing is known about the data
        CxdbRefused              an answer with an error status
        CxdbAnswerInvalid        an answer that breaks the published shape

Each carries its facts as fields; the text is composed from them. Knows no sockets and no files.
"""

from __future__ import annotations

__all__ = [
    "AddressUnavailable",
    "ContainerFailed",
    "ContainerNotReady",
    "CorruptLog",
    "CxdbAnswerInvalid",
    "CxdbError",
    "CxdbRefused",
    "CxdbUnreachable",
    "DataDirUnusable",
    "EngineUnavailable",
    "FrameError",
    "ImageUnavailable",
    "InvalidInput",
    "MalformedPayload",
    "NotFound",
    "OversizedFrame",
    "PackagesMissing",
    "ReaderError",
    "RequestRefused",
    "ServerFailed",
    "ServerNotReady",
    "StoredDataInvalid",
    "UsageError",
]


class CxdbError(Exception):
    """Root of the tree; never raised itself."""


class FrameError(CxdbError):
    """The peer broke the wire format. The connection cannot go on: frame borders are lost."""


class OversizedFrame(FrameError):
    """A header announced `length` payload bytes where at most `limit` are allowed."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"frame announces {length} payload bytes, the limit is {limit}")
        self.length = length
        self.limit = limit


class MalformedPayload(FrameError):
    """The payload of message `message` cannot be read; `found` is its length in bytes."""

    def __init__(self, message: str, problem: str, found: int) -> None:
        super().__init__(f"{message}: {problem} (payload of {found} bytes)")
        self.message = message
        self.problem = problem
        self.found = found


class RequestRefused(CxdbError):
    """A well-formed request that cannot be served. `status` is CXDB's number for it."""

    status = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(RequestRefused):
    """What the request names is not there."""

    status = 404


class InvalidInput(RequestRefused):
    """The request contradicts itself or what is already stored."""

    status = 422


class StoredDataInvalid(RequestRefused):
    """A stored object has not the form its use asks for, such as a tree that is no array."""

    status = 500


class ServerFailed(CxdbError):
    """The server cannot start or go on. `exit_code` is what its process ends with."""

    exit_code = 1


class UsageError(ServerFailed):
    """An option has a value without meaning."""

    exit_code = 2


class AddressUnavailable(ServerFailed):
    """`host`:`port` cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}; choose another port, or 0 for any free one")
        self.host = host
        self.port = port
        self.reason = reason


class DataDirUnusable(ServerFailed):
    """The data directory `path` cannot be used; `reason` says why and what to do."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"data directory {path} cannot be used: {reason}")
        self.path = path
        self.reason = reason


class CorruptLog(ServerFailed):
    """The log `path` is damaged at byte `offset`, with records after it.

    A torn end is no corruption: it is cut off silently, because a killed process leaves one.
    """

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(
            f"log {path} is damaged at byte {offset}: {reason}. Nothing was changed. Restore the file, "
            f"or start with --forget to begin empty, or keep what precedes the damage with: "
            f"truncate -s {offset} {path}"
        )
        self.path = path
        self.offset = offset
        self.reason = reason


class ServerNotReady(ServerFailed):
    """A child server gave no ready line within `timeout_seconds`, or ended before it.

    `exit_code_seen` is None when it was still running. `output` is everything it printed.
    """

    def __init__(self, exit_code_seen: int | None, timeout_seconds: float, output: str) -> None:
        state = (
            f"still silent after {timeout_seconds:g} s"
            if exit_code_seen is None
            else f"ended with exit code {exit_code_seen}"
        )
        super().__init__(f"embedded CXDB did not become ready: {state}; it printed:\n{output or '(nothing)'}")
        self.exit_code_seen = exit_code_seen
        self.timeout_seconds = timeout_seconds
        self.output = output


class ContainerFailed(ServerFailed):
    """A server in a container cannot be started, or what was asked of it not done."""


class PackagesMissing(ContainerFailed):
    """`package` cannot be imported."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"a container needs the Python package {package}, which is not installed: pip install 'attractor[docker]', "
            "or pip install --editable '.[docker]' in a checkout"
        )
        self.package = package


class EngineUnavailable(ContainerFailed):
    """No container engine at `address` can be used; `reason` says why, `advice` what to do."""

    def __init__(self, address: str, reason: str, advice: str) -> None:
        super().__init__(f"no Docker engine can be used at {address}: {reason}; {advice}")
        self.address = address
        self.reason = reason
        self.advice = advice


class ImageUnavailable(ContainerFailed):
    """`image` is not on this machine, and cannot be had: `reason`."""

    def __init__(self, image: str, reason: str, advice: str) -> None:
        super().__init__(f"image {image} {reason}; {advice}" if advice else f"image {image} {reason}")
        self.image = image
        self.reason = reason


class ContainerNotReady(ContainerFailed):
    """A container from `image` did not come up: `problem`. `log` is the end of what it printed."""

    def __init__(self, image: str, problem: str, log: str) -> None:
        super().__init__(f"a container from {image} did not become ready: {problem}; its log ends:\n{log or '(empty)'}")
        self.image = image
        self.problem = problem
        self.log = log


class ReaderError(CxdbError):
    """Reading from a CXDB over HTTP gave no usable answer. `url` is what was asked for."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}")
        self.url = url
        self.problem = problem


class CxdbUnreachable(ReaderError):
    """No answer. This says nothing about what the server holds."""


class CxdbRefused(ReaderError):
    """The server answered with HTTP `status` and error text `message`."""

    def __init__(self, url: str, status: int, message: str) -> None:
        super().__init__(url, f"HTTP {status}: {message}")
        self.status = status
        self.message = message


class CxdbAnswerInvalid(ReaderError):
    """The server answered 200 with a body that breaks the published shape."""
