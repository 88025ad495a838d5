"""Reaching CXDB for a run: connect, start it where configured, make our types known, open a context."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from attractor.config import Autostart, RunConfig
from attractor.cxdb import CxdbConnection, publish_bundle
from attractor.errors import CxdbError, CxdbUnreachable


@dataclass(slots=True)
class CxdbPeer:
    """A reachable CXDB that knows our types."""

    connection: CxdbConnection
    binary_addr: str
    http_base_url: str
    bundle_id: str


def reach_cxdb(config: RunConfig, run_id: str) -> CxdbPeer:
    """Connect to both ports. Raises CxdbError with the addresses tried and the remedy."""
    try:
        return connect_cxdb(config.cxdb_binary_addr, config.cxdb_http_base_url, run_id)
    except CxdbUnreachable as error:
        if config.cxdb_autostart is not None:
            return _autostart(config, config.cxdb_autostart, run_id, error)
        raise CxdbUnreachable(
            error.message,
            address=error.address,
            hint="start one (`attractor-harness cxdb` brings one along), name yours in the configuration "
            "(cxdb.binary_addr, cxdb.http_base_url), or pass --no-cxdb",
        ) from error


def connect_cxdb(binary_addr: str, http_base_url: str, run_id: str) -> CxdbPeer:
    connection = CxdbConnection(binary_addr, client_tag=f"attractor/{run_id}")
    try:
        return CxdbPeer(connection, binary_addr, http_base_url, publish_bundle(http_base_url))
    except CxdbError:
        connection.close()
        raise


def _autostart(config: RunConfig, autostart: Autostart, run_id: str, first: CxdbUnreachable) -> CxdbPeer:
    """Start the configured command, which is to bring up CXDB and may go on running, and wait for the ports."""
    environment = dict(os.environ) | {
        "ATTRACTOR_RUN_ID": run_id,
        "ATTRACTOR_CXDB_BINARY_ADDR": config.cxdb_binary_addr,
        "ATTRACTOR_CXDB_HTTP_BASE_URL": config.cxdb_http_base_url,
    }
    folder = Path(config.file).parent if config.file else Path("/")
    try:
        process = subprocess.Popen(
            autostart.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise CxdbUnreachable(
            f"{first.message}, and cxdb.autostart.command {autostart.command[0]!r} cannot be started: {error.strerror}",
            address=config.cxdb_binary_addr,
        ) from error
    deadline = time.monotonic() + autostart.wait_timeout_seconds
    while True:
        try:
            return connect_cxdb(config.cxdb_binary_addr, config.cxdb_http_base_url, run_id)
        except CxdbUnreachable as error:
            failed = process.poll() not in (None, 0)
            if failed or time.monotonic() >= deadline:
                how = f"ended with status {process.returncode}" if failed else "was started"
                raise CxdbUnreachable(
                    f"{error.message}; cxdb.autostart.command {how}, waited up to {autostart.wait_timeout_seconds:g} s",
                    address=config.cxdb_binary_addr,
                ) from error
            time.sleep(autostart.poll_interval_seconds)
