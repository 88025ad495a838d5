"""Appends to a CXDB over one connection, by the client's clock.

It is the engine's own connection that is measured, and the harness must not import the engine: so the script is a
text here and runs in a process of its own. Four turns are sent at a time, as the engine does after a node; the time
ends when the last is acknowledged, and the server's own count says that all of them are there.

Beside it stands what the server takes: the same frames, made beforehand and sent by somebody who does nothing else.
What lies between the two is the client's share.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from harness.bench.outcomes import Metric, Sample
from harness.bench.plan import Job
from harness.bench.running import bound_for, process_sample, told_by
from harness.bench.workbench import SOURCE_ROOT, Workbench

__all__ = ["measure_append", "measure_server"]

# python -c SCRIPT ADDRESS TURNS. The payload is MessagePack: {1: 180 characters, 2: 7}.
SCRIPT = r"""
import json
import sys
import time

from attractor.cxdb import CxdbConnection

address, turns = sys.argv[1], int(sys.argv[2])
payload = b"\x82\x01\xd9\xb4" + b"x" * 180 + b"\x02\x07"
connection = CxdbConnection(address, client_tag="attractor-bench")
context = connection.create_context().context_id
began = time.perf_counter()
for number in range(1, turns + 1):
    connection.append(context, b"attractor.bench.Turn", 1, payload)
    if number % 4 == 0:
        connection.push()
connection.barrier(60)
seconds = time.perf_counter() - began
depth = connection.head(context).depth
connection.close()
assert depth + 1 >= turns, (depth, turns)
print(json.dumps({"seconds": seconds, "steps": turns}))
"""


# python -c SERVER_SCRIPT ADDRESS TURNS. The same turns; replies are read and only counted.
SERVER_SCRIPT = r"""
import json
import socket
import sys
import threading
import time

from blake3 import blake3

from harness.cxdb.frames import FrameReader, MessageType, encode_frame
from harness.cxdb.probe import new_context, split_address
from harness.cxdb.requests import AppendTurn, Hello

address, turns = sys.argv[1], int(sys.argv[2])
payload = b"\x82\x01\xd9\xb4" + b"x" * 180 + b"\x02\x07"
context = new_context(address, 10)
turn = AppendTurn(context, 0, "attractor.bench.Turn", 1, 1, 0, len(payload), blake3(payload).digest(), payload)
body = turn.encode()
stream = b"".join(encode_frame(MessageType.APPEND_TURN, number, body) for number in range(1, turns + 1))
sock = socket.create_connection(split_address(address), 60)
hello = Hello(client_tag="attractor-bench")
sock.sendall(encode_frame(hello.type, 1, hello.encode()))
reader = FrameReader()

def read(count):
    while count:
        reader.feed(sock.recv(1 << 16))
        while (frame := reader.maybe_frame()) is not None:
            assert frame.message_type != MessageType.ERROR, frame
            count -= 1

read(1)
began = time.perf_counter()
sending = threading.Thread(target=sock.sendall, args=(stream,))
sending.start()
read(turns)
seconds = time.perf_counter() - began
sending.join()
sock.close()
print(json.dumps({"seconds": seconds, "steps": turns}))
"""


def measure_append(job: Job, bench: Workbench) -> Sample:
    return _measured(job, bench, SCRIPT, {**bench.environment, **bench.engine.environment})


def measure_server(job: Job, bench: Workbench) -> Sample:
    return _measured(job, bench, SERVER_SCRIPT, {**bench.environment, "PYTHONPATH": str(SOURCE_ROOT)})


def _measured(job: Job, bench: Workbench, script: str, environment: Mapping[str, str]) -> Sample:
    argv = [sys.executable, "-P", "-c", script, bench.cxdb()["binary_addr"], str(job.size)]
    with bench.folder() as folder:
        done = bench.finish(
            "appends to CXDB", argv, folder, bound_seconds=bound_for(job.size), environment=environment
        ).must_be(0)
    return {Metric.RATE: job.size / told_by(done)["seconds"], **process_sample(done)}
