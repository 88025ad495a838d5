"""`ContainerCxdb`: a CXDB server in a container, with the life of `EmbeddedCxdb`.

Rules:
- Published on loopback only, on two ports picked once and kept across `kill` and `start`.
- Ready means that `/healthz` and a hello are answered; a container that ends before is shown with the end of its log.
- It cannot outlive its owner: it is removed when this object is closed, by a watch in a process of its own when the
  owner is killed (container_watch.py), and by its labels at the next start when all that failed. The library's own
  reaper is used as well where its image is there already; it is never pulled for that.
- Data lie in the container's file system: a kill and a start keep them, if the server in it does. The one that
  `--cxdb-image build` makes does; the published one forgets at every start. `remembers` finds out.
"""

from __future__ import annotations

import socket
import uuid
from types import TracebackType
from typing import Any, Self

from harness.cxdb.container_watch import ContainerWatch
from harness.cxdb.docker_engine import connected, engine_errors, explanation, owner_labels
from harness.cxdb.errors import ContainerFailed, ContainerNotReady
from harness.cxdb.probe import health_problem, hello_problem, knows_context, new_context
from harness.processes import until

__all__ = ["ContainerCxdb"]

LOOPBACK = "127.0.0.1"
BINARY_PORT = 9009
HTTP_PORT = 9010
# The published image listens where these say; ours listens there anyway.
_ENVIRONMENT = {
    "CXDB_BIND": f"0.0.0.0:{BINARY_PORT}",
    "CXDB_HTTP_BIND": f"0.0.0.0:{HTTP_PORT}",
}
_START_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 10
_PROBE_SECONDS = 2.0
_PORT_ATTEMPTS = 5
_LOG_LINES = 2000
_SHOWN_LINES = 15


class ContainerCxdb:
    """A running CXDB from an image that is on this machine. Use as a context manager, or call `start` and `stop`.

    Attributes while it runs: `binary_addr` ("127.0.0.1:PORT"), `http_base_url`, `container_id`. Everything here raises
    ContainerFailed, or one of its kinds, when the engine does not do what it is asked.
    """

    def __init__(self, image: str, *, start_timeout_seconds: float = _START_TIMEOUT_SECONDS) -> None:
        self._image = image
        self._start_timeout_seconds = start_timeout_seconds
        self._container: Any = None  # the library's DockerContainer
        self._watch: ContainerWatch | None = None
        self.binary_addr = ""
        self.http_base_url = ""

    # --- life ---

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def container_id(self) -> str:
        """Of the container, running or not; RuntimeError when there is none."""
        if self._container is None:
            raise RuntimeError("there is no container")
        return str(self._container.get_wrapped_container().id)

    @property
    def label(self) -> str:
        return f"container {self.container_id[:12]}"

    @property
    def is_running(self) -> bool:
        """The engine's word; a paused container runs."""
        return self._container is not None and bool(self._state()["Running"])

    def stands_still(self) -> bool:
        """The engine's word that it is paused."""
        return self._container is not None and bool(self._state()["Paused"])

    def start(self) -> None:
        """Make the container, or start the one that was killed, and wait until both ports answer."""
        if self._container is None:
            self._make()
        elif self.is_running:
            raise RuntimeError(f"{self.label} is running already")
        else:
            with engine_errors(f"{self.label} cannot be started again"):
                self._container.get_wrapped_container().start()
        self._wait_until_ready()

    def stop(self) -> None:
        """Remove the container, in whatever state, with its data."""
        container, self._container = self._container, None
        try:
            if container is not None:
                _remove(container)
        finally:
            # Dismissed only after the removal: if that failed, the watch has a try.
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.dismiss()

    def kill(self) -> None:
        """SIGKILL the server and wait until it is gone. `start` brings the container back."""
        if not self.is_running:
            return
        with engine_errors(f"{self.label} cannot be killed"):
            wrapped = self._container.get_wrapped_container()
            wrapped.kill("SIGKILL")
            wrapped.wait(timeout=_STOP_TIMEOUT_SECONDS)

    def restart(self) -> None:
        """Stop if running, by force after 10 s, then start on the same ports with the same file system."""
        if self._container is not None:
            with engine_errors(f"{self.label} cannot be stopped"):
                self.resume()
                self._container.get_wrapped_container().stop(timeout=_STOP_TIMEOUT_SECONDS)
        self.start()

    def start_empty(self) -> None:
        """A new container on the same ports: it knows nothing of what there was, whatever the image keeps."""
        ports = (int(self.binary_addr.rpartition(":")[2]), int(self.http_base_url.rpartition(":")[2]))
        self.stop()
        self._make_on(ports)
        self._wait_until_ready()

    def remembers(self) -> bool:
        """Whether a context outlives the server's kill and start; found out by doing just that."""
        with engine_errors(f"it cannot be found out whether {self.label} remembers"):
            context_id = new_context(self.binary_addr, _PROBE_SECONDS)
            self.kill()
            self.start()
            return knows_context(self.binary_addr, context_id, _PROBE_SECONDS)

    def pause(self) -> None:
        """All processes in it stand still: connections are taken for it, nothing is answered."""
        with engine_errors(f"{self.label} cannot be paused"):
            self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """What piled up meanwhile is served; nothing where it is not paused."""
        if self.stands_still():
            with engine_errors(f"{self.label} cannot be told to go on"):
                self._container.get_wrapped_container().unpause()

    def log(self, since: float | None = None) -> str:
        """The end of what the server has printed, since that instant (seconds since the epoch) or ever."""
        if self._container is None:
            return ""
        more = {} if since is None else {"since": since}
        with engine_errors(f"the log of {self.label} cannot be read"):
            printed = self._container.get_wrapped_container().logs(tail=_LOG_LINES, **more)
        return str(printed.decode(errors="replace"))

    # --- starting ---

    def _make(self) -> None:
        with connected() as client:  # says in clear words what is missing
            self._use_reaper_only_if_there(client)
        for attempt in range(_PORT_ATTEMPTS):
            ports = _free_ports()
            try:
                self._make_on(ports)
            except ContainerFailed as error:
                self.stop()
                taken = "already allocated" in str(error) or "already in use" in str(error)
                if not taken or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                self.binary_addr = f"{LOOPBACK}:{ports[0]}"
                self.http_base_url = f"http://{LOOPBACK}:{ports[1]}"
                return

    def _make_on(self, ports: tuple[int, int]) -> None:
        from testcontainers.core.container import DockerContainer

        name = f"attractor-harness-cxdb-{uuid.uuid4().hex}"
        self._watch = ContainerWatch(name)
        with engine_errors(f"no container can be made from {self._image}"):
            container = DockerContainer(self._image).with_name(name).with_envs(**_ENVIRONMENT)
            container.image = self._image  # without the prefix for images of a public registry
            # Given to the engine as they are: the library's own calls publish on all interfaces.
            published: Any = {f"{BINARY_PORT}/tcp": (LOOPBACK, ports[0]), f"{HTTP_PORT}/tcp": (LOOPBACK, ports[1])}
            container.ports = published
            container.with_kwargs(labels=owner_labels(), network="bridge")
            try:
                container.start()
            except BaseException:
                _remove(container)
                raise
        self._container = container

    @staticmethod
    def _use_reaper_only_if_there(client: Any) -> None:
        from docker.errors import ImageNotFound
        from testcontainers.core.config import testcontainers_config

        if testcontainers_config.ryuk_disabled:
            return
        with engine_errors(f"image {testcontainers_config.ryuk_image} cannot be looked for"):
            try:
                client.images.get(testcontainers_config.ryuk_image)
            except ImageNotFound:
                testcontainers_config.ryuk_disabled = True

    def _wait_until_ready(self) -> None:
        problem = ""

        def settled() -> bool:
            nonlocal problem
            problem = health_problem(self.http_base_url, _PROBE_SECONDS) or hello_problem(
                self.binary_addr, _PROBE_SECONDS
            )
            return not problem or not self.is_running

        until(settled, self._start_timeout_seconds)
        if not problem:
            return
        state = self._state()
        if not state["Running"]:
            problem = f"it ended with exit code {state['ExitCode']}"
        else:
            problem = f"after {self._start_timeout_seconds:g} s {problem}"
        raise ContainerNotReady(self._image, problem, "\n".join(self.log().splitlines()[-_SHOWN_LINES:]))

    def _state(self) -> Any:
        with engine_errors(f"the state of {self.label} cannot be read"):
            wrapped = self._container.get_wrapped_container()
            return wrapped.client.api.inspect_container(wrapped.id)["State"]


def _free_ports() -> tuple[int, int]:
    """Free a moment ago. The engine would pick others at every start if it were asked for any."""
    with socket.create_server((LOOPBACK, 0)) as one, socket.create_server((LOOPBACK, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _remove(container: Any) -> None:
    """With its client's connections, also when it was never made or is gone already."""
    from docker.errors import NotFound

    try:
        container.stop(force=True)
    except NotFound:
        container.get_docker_client().client.close()
    except Exception as error:
        container.get_docker_client().client.close()
        raise ContainerFailed(f"a container cannot be removed: {explanation(error)}") from error
