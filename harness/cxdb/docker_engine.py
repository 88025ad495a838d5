"""The way to the Docker engine, and what is said when there is none.

Rules: the engine runs on this machine, because servers are published on loopback only; the libraries are imported
where they are needed, since most sessions need none; their errors are translated here, once. Containers carry labels
that name the harness process they belong to, by pid and start time, and the machine it runs on: so that those of one
that was killed can be told from those of one that still runs, also where several machines share an engine.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from harness.cxdb.errors import ContainerFailed, EngineUnavailable, PackagesMissing
from harness.processes import ProcessIdentity, alive, owner_mark

__all__ = ["DEFAULT_SOCKET", "connected", "engine_errors", "owner_labels", "remove_container", "sweep_containers"]

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
OWNER_LABEL = "attractor-harness.owner"
MACHINE_LABEL = "attractor-harness.machine"

_LOOPBACK = ("localhost", "localnpipe", "127.0.0.1", "::1")
_OTHERWISE = "or leave out --cxdb container"


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """A docker.DockerClient of an engine that answers; PackagesMissing or EngineUnavailable otherwise."""
    try:
        import docker  # noqa: F401 - so that the one that is missing is named
        from testcontainers.core.docker_client import DockerClient
    except ImportError as error:
        raise PackagesMissing((error.name or str(error)).partition(".")[0]) from error
    try:
        client = DockerClient().client  # the library's: an engine chosen by `docker context` is found, too
    except Exception as error:  # it lets through what urllib3, requests and the configuration files raise
        raise _unavailable(error) from error
    try:
        host = urlsplit(client.api.base_url).hostname or ""
        if host not in _LOOPBACK:
            raise EngineUnavailable(
                _address(), "it runs on another machine, and servers are published on loopback only", _OTHERWISE
            )
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Whatever the libraries raise meanwhile becomes ContainerFailed."""
    from docker.errors import DockerException
    from requests import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError, TimeoutError) as error:
        raise ContainerFailed(f"{doing}: {explanation(error)}") from error


def explanation(error: BaseException) -> str:
    """The engine's own words, on one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())


def owner_labels() -> dict[str, str]:
    return {OWNER_LABEL: owner_mark(), MACHINE_LABEL: _machine()}


def sweep_containers(client: Any) -> int:
    """Removes what a harness process that is no longer alive has left; says how many."""
    with engine_errors("containers of earlier sessions cannot be looked for"):
        ours = client.containers.list(
            all=True, ignore_removed=True, filters={"label": [OWNER_LABEL, f"{MACHINE_LABEL}={_machine()}"]}
        )
    orphans = [container for container in ours if not _owner_lives(container.labels[OWNER_LABEL])]
    for container in orphans:
        remove_container(client, container.id)
    return len(orphans)


def remove_container(client: Any, name: str) -> bool:
    """By id or name, running or not; False when there was none. Its anonymous volumes go with it."""
    from docker.errors import APIError, NotFound

    with engine_errors(f"container {name} cannot be removed"):
        try:
            client.api.remove_container(name, force=True, v=True)
        except NotFound:
            return False
        except APIError as error:
            if error.status_code != 409:  # somebody else removes it already
                raise
    return True


def _owner_lives(mark: str) -> bool:
    pid, _, started = mark.partition(":")
    return pid.isdigit() and alive(ProcessIdentity(int(pid), started))


def _machine() -> str:
    """A pid means something only within its namespace, and that of one host name."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace}".strip()


def _address() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET


def _unavailable(error: BaseException) -> EngineUnavailable:
    """The libraries wrap what happened several times over, at times in text only."""
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        advice = f"become root, or a member of the group that owns the socket (usually docker), {_OTHERWISE}"
        return EngineUnavailable(_address(), "permission denied", advice)
    advice = f"start one (dockerd, Docker Desktop), name another with DOCKER_HOST, {_OTHERWISE}"
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return EngineUnavailable(_address(), "its socket does not exist", advice)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return EngineUnavailable(_address(), "nobody listens there", advice)
    return EngineUnavailable(_address(), explanation(error), advice)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was made of, each once."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *one.args]
