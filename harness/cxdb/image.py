"""The image of a CXDB container: there, pulled, or built from this very checkout.

A built image is called by what it was made of (the Dockerfile, the server's files, the id of its base), so a tree that
has not changed builds nothing. Of several processes one builds, the others wait for it. The build uses the network of
this machine and what its pip was told: an index, certificates, a proxy.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.cxdb.docker_engine import engine_errors, explanation
from harness.cxdb.errors import ImageUnavailable

__all__ = ["built_image", "pulled_image"]

REPOSITORY = "attractor-harness-cxdb"
DOCKERFILE = "harness/cxdb/Dockerfile"
CERTIFICATES = "certificates.pem"
SHOWN_LINES = 15

_ROOT = Path(__file__).resolve().parents[2]
# Beside the server's files, and none of its: a change there must build nothing.
_NOT_THE_SERVERS = ("container.py", "container_watch.py", "docker_engine.py", "embedded.py", "image.py", "probe.py")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# pip's option -> the build argument of the same meaning
_PIP_OPTIONS = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "trusted-host": "PIP_TRUSTED_HOST",
}


def pulled_image(client: Any, name: str, tell: Callable[[str], None], advice: str) -> str:
    """The id of that image, pulled where it is not there yet; ImageUnavailable when it cannot be had."""
    from docker.errors import APIError, DockerException, ImageNotFound

    with engine_errors(f"image {name} cannot be looked for"):
        try:
            return str(client.images.get(name).id)
        except ImageNotFound:
            tell(f"pulling {name}")
    try:
        return str(client.images.pull(name).id)
    except (APIError, DockerException, OSError) as error:
        raise ImageUnavailable(name, f"is not here and cannot be pulled: {explanation(error)}", advice) from error


def built_image(client: Any, base_image: str, tell: Callable[[str], None]) -> str:
    """The name of the image of this checkout's server on that base; ImageUnavailable with the end of a failed build."""
    from docker.errors import ImageNotFound

    with _one_builder():
        base = pulled_image(client, base_image, tell, "name another with --cxdb-base-image")
        files = _files()
        name = f"{REPOSITORY}:{_digest(files, base)}"
        with engine_errors(f"image {name} cannot be looked for"), contextlib.suppress(ImageNotFound):
            client.images.get(name)
            return name
        tell(f"building {name} on {base_image}")
        _build(client, name, base_image, files)
        return name


def _files() -> dict[str, bytes]:
    """Path in the build context -> content, of all that goes into the image."""
    modules = [path for path in (_ROOT / "harness/cxdb").glob("*.py") if path.name not in _NOT_THE_SERVERS]
    paths = [_ROOT / DOCKERFILE, _ROOT / "harness/__init__.py", *sorted(modules)]
    return {str(path.relative_to(_ROOT)): path.read_bytes() for path in paths}


def _digest(files: dict[str, bytes], base: str) -> str:
    digest = hashlib.sha256(base.encode())
    for path, content in files.items():
        digest.update(f"\0{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _build(client: Any, name: str, base_image: str, files: dict[str, bytes]) -> None:
    settings = _pip_settings()
    arguments = {argument: settings[option] for option, argument in _PIP_OPTIONS.items() if settings.get(option)}
    arguments |= {proxy: os.environ[proxy] for proxy in _PROXIES if os.environ.get(proxy)}
    certificates = _certificates(settings)
    context = _context({**files, CERTIFICATES: certificates} if certificates else files)
    log: list[str] = []
    problem = ""
    with engine_errors(f"image {name} cannot be built"):
        answer = client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=DOCKERFILE,
            tag=name,
            buildargs={"BASE_IMAGE": base_image, **arguments},
            network_mode="host",  # the indexes of the machine may be reachable from its own network only
            rm=True,
            forcerm=True,
            decode=True,
        )
        for message in answer:  # to its end, or the connection would stay open
            log += filter(str.strip, str(message.get("stream", "")).splitlines())
            problem = str(message.get("error", problem))
    if problem:
        end = "\n".join([*log[-SHOWN_LINES:], problem])
        raise ImageUnavailable(name, f"cannot be built on {base_image}; the build ended:\n{end}", "")


def _context(files: dict[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def _pip_settings() -> dict[str, str]:
    """pip's option -> value, of its configuration files and environment; the environment counts."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    found: dict[str, str] = {}
    for line in asked.stdout.splitlines():  # such as global.index-url='https://...' or :env:.cert='...'
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in ("global", "install", ":env:") and (option not in found or section == ":env:"):
            found[option] = value.strip("'\"").replace("\\n", " ")
    return found


def _certificates(settings: dict[str, str]) -> bytes:
    named = settings.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    with contextlib.suppress(OSError):
        return Path(named).expanduser().read_bytes() if named else b""
    return b""


@contextlib.contextmanager
def _one_builder() -> Iterator[None]:
    """The kernel gives the lock back however its holder ends."""
    path = Path(tempfile.gettempdir()) / f"{REPOSITORY}-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
