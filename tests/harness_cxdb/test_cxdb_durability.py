"""What was acknowledged is there again after a restart or a SIGKILL; damage is named, never guessed away."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cxdb_wire import Wire, http, note, publish_notes

from harness.cxdb import EmbeddedCxdb, ServerNotReady, read_turns
from harness.cxdb.log import LOG_NAME, RecordLog


def write_something(server: EmbeddedCxdb, turns: int = 5) -> int:
    publish_notes(server.http_base_url)
    with Wire(server.binary_addr) as wire:
        context_id = wire.create_context()
        for number in range(turns):
            wire.append(context_id, note("turn", number))
    return context_id


def numbers(server: EmbeddedCxdb, context_id: int) -> list[str]:
    return [turn.data["number"] for turn in read_turns(server.http_base_url, context_id)]


def test_data_and_ports_outlive_a_restart(cxdb: EmbeddedCxdb) -> None:
    context_id = write_something(cxdb)
    before = (cxdb.binary_addr, cxdb.http_base_url)
    cxdb.restart()
    assert (cxdb.binary_addr, cxdb.http_base_url) == before
    assert numbers(cxdb, context_id) == ["0", "1", "2", "3", "4"]


def test_what_was_acknowledged_outlives_sigkill(cxdb: EmbeddedCxdb) -> None:
    context_id = write_something(cxdb, 50)
    cxdb.kill()
    cxdb.start()
    assert numbers(cxdb, context_id) == [str(n) for n in range(50)]
    with Wire(cxdb.binary_addr) as wire:
        assert wire.append(context_id, note("more")) == 51
        assert wire.create_context() == context_id + 1


def test_forgetting_keeps_only_what_the_real_server_keeps(cxdb: EmbeddedCxdb) -> None:
    context_id = write_something(cxdb)
    cxdb.restart(forget=True)
    response, _ = http(cxdb.http_base_url, "GET", f"/v1/contexts/{context_id}/turns")
    assert response.status == 404
    response, _ = http(cxdb.http_base_url, "GET", "/v1/registry/bundles/example-v1")
    assert response.status == 200
    with Wire(cxdb.binary_addr) as wire:
        assert wire.create_context() == 1


@pytest.mark.parametrize("cut", [1, 5, 11, 12, 40])
def test_a_torn_end_is_cut_off_and_the_rest_is_kept(cxdb: EmbeddedCxdb, cut: int) -> None:
    context_id = write_something(cxdb)
    cxdb.stop()
    log = cxdb.data_dir / LOG_NAME
    os.truncate(log, log.stat().st_size - cut)
    cxdb.start()
    assert numbers(cxdb, context_id) == ["0", "1", "2", "3"]
    with Wire(cxdb.binary_addr) as wire:
        assert wire.append(context_id, note("again", 9)) == 5
    cxdb.restart()
    assert numbers(cxdb, context_id) == ["0", "1", "2", "3", "9"]


@pytest.mark.parametrize("place", ["mark", "length", "body"])
def test_damage_before_the_end_is_named_with_file_and_offset(cxdb: EmbeddedCxdb, place: str) -> None:
    write_something(cxdb)
    cxdb.stop()
    log = cxdb.data_dir / LOG_NAME
    at = {"mark": 0, "length": 8, "body": 30}[place]
    data = bytearray(log.read_bytes())
    data[at] ^= 1
    log.write_bytes(data)
    with pytest.raises(ServerNotReady) as caught:
        cxdb.start()
    assert caught.value.exit_code_seen == 1
    assert f"log {log} is damaged at byte {0 if place == 'mark' else 8}" in caught.value.output
    assert "Traceback" not in caught.value.output
    assert log.read_bytes() == data
    cxdb.restart(forget=True)


def test_a_second_server_on_the_same_data_is_refused(cxdb: EmbeddedCxdb) -> None:
    with pytest.raises(ServerNotReady, match="another server holds"):
        EmbeddedCxdb(cxdb.data_dir).start()


def test_a_data_dir_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerNotReady, match=r"data directory .*file/below cannot be used: Not a directory"):
        EmbeddedCxdb(tmp_path / "file" / "below").start()


def test_a_full_disk_ends_the_server_and_acknowledges_nothing(tmp_path: Path) -> None:
    """The file size limit stands in for the disk: the write fails half way just the same."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from harness.cxdb.command import main\n"
        f"sys.exit(main(['--data-dir', {str(tmp_path)!r}]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("binary=")[1].split()[0]
        with Wire(address) as wire:
            digest = wire.put_blob(b"fits")
            assert wire.ask(9, digest)[4:] == b"fits"
            with pytest.raises((struct.error, ConnectionError)):
                wire.put_blob(bytes(8192))
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
    assert "cannot be used: writing" in errors
    assert "Traceback" not in errors
    log = RecordLog(str(tmp_path))
    assert [body[33:] for _, body in log.recover()] == [b"fits"]
    log.close()
