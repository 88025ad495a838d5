"""Records a run of the engine on a CXDB that was just started: what has to be told to another server, and all that this
one then answers about it.

    python -m tests.harness_cxdb.record_run 127.0.0.1:9009 http://127.0.0.1:9010 > tests/harness_cxdb/golden/run.json

Of the published server, `run.json` here. The run works below /tmp/recorded, which must not be there.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from cxdb_wire import Wire, http

PLACE = Path("/tmp/recorded")  # it stands in the recording
LARGE = (
    "import json, os; status = {'outcome': 'success', 'context_updates': {'big': 'x' * 100001}}; "
    "json.dump(status, open(os.environ['ATTRACTOR_STATUS_FILE'], 'w'))"
)
REFUSED = "echo 'connection refused' >&2; exit 1"
GRAPH = f"""digraph recorded {{
  graph [goal="a run to be read back", retry_initial_delay="1ms", retry_jitter=false]
  start [shape=Mdiamond]
  exit  [shape=Msquare]
  node  [shape=parallelogram]
  make  [tool_command="mkdir -p deep/er && echo one > deep/er/one.txt && ln -s one.txt deep/er/link"]
  again [max_retries=2, tool_command="test -e ../../second || {{ touch ../../second; {REFUSED}; }}"]
  large [tool_command="python3 -c \\"{LARGE}\\""]
  ask   [shape=diamond]
  fail  [tool_command="echo 'ünfug' && false"]
  start -> make -> again -> large -> ask
  ask -> fail [condition="outcome=success"]
  fail -> exit [condition="outcome=fail"]
}}
"""


def record(binary_addr: str, http_base_url: str) -> dict[str, Any]:
    root = _run(binary_addr, http_base_url)
    context = int(json.loads((root / "final.json").read_text())["cxdb_context_id"])
    assert context == 1, "the server is to be fresh: another one has to give the same numbers"
    bundle_id = json.loads((root / "manifest.json").read_text())["cxdb"]["registry_bundle_id"]
    pages = [f"/v1/registry/bundles/{bundle_id}", "/v1/contexts/1/turns?limit=1000"]
    pages += [
        "/v1/contexts/1/turns?limit=1000&view=raw",
        "/v1/contexts/1/turns?limit=7",
        "/v1/contexts/1/turns?limit=7&before_turn_id=20",
    ]
    asked = {path: _page(http_base_url, path) for path in pages}
    turns = json.loads(asked["/v1/contexts/1/turns?limit=1000"]["body"])["turns"]
    shown = {turn["turn_id"]: _files(http_base_url, turn["turn_id"], "") for turn in turns}
    roots = {turn: root for turn, (root, _, _) in shown.items()}
    attached = {turn: root for turn, root in roots.items() if root and roots.get(str(int(turn) - 1)) != root}
    for turn in (*attached, turns[0]["turn_id"], turns[-1]["turn_id"]):
        asked |= shown[turn][1]
    blobs = {digest for _, _, digests in shown.values() for digest in digests} | set(attached.values())
    blobs |= {turn["data"]["content_hash"] for turn in turns if turn["declared_type"]["type_id"].endswith(".Artifact")}
    with Wire(binary_addr) as wire:
        last = wire.ask(6, struct.pack("<QII", context, 1000, 1))
        head = wire.ask(4, struct.pack("<Q", context))
        stored = [wire.ask(9, bytes.fromhex(digest))[4:] for digest in sorted(blobs)]
    return {
        "blobs": [base64.b64encode(zlib.compress(blob)).decode() for blob in stored],
        "attached": attached,
        "last_turns": last.hex(),
        "head": head.hex(),
        "pages": asked,
    }


def _run(binary_addr: str, http_base_url: str) -> Path:
    repo = PLACE / "repo"
    repo.mkdir(parents=True)
    (repo / "README.md").write_text("recorded\n")
    identity = ("-c", "user.name=Recorded", "-c", "user.email=recorded@example.invalid")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run(["git", *identity, *words], cwd=repo, check=True)
    (PLACE / "graph.dot").write_text(GRAPH)
    cxdb = {"binary_addr": binary_addr, "http_base_url": http_base_url}
    (PLACE / "config.json").write_text(json.dumps({"version": 1, "cxdb": cxdb}))
    words = ["--graph", "../graph.dot", "--config", "../config.json", "--run-id", "recorded"]
    command = [sys.executable, "-m", "attractor", "run", *words, "--logs-root", str(PLACE / "logs"), "--quiet"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(PLACE), "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, cwd=repo, env=environment, stdout=sys.stderr, check=True)
    return PLACE / "logs"


def _page(http_base_url: str, path: str) -> dict[str, Any]:
    response, body = http(http_base_url, "GET", path)
    return {"status": response.status, "body": body.decode()}


def _files(base: str, turn: str, folder: str) -> tuple[str, dict[str, Any], set[str]]:
    """The tree that a turn shows ('': none), every folder and file of it as pages, and the hashes of all of them."""
    path = f"/v1/turns/{turn}/fs?path={folder}"
    page = _page(base, path)
    found, digests = {path: page}, set()
    if page["status"] != 200:
        return "", found, digests
    listing = json.loads(page["body"])
    for entry in listing["entries"]:
        below = f"{folder}/{entry['name']}" if folder else entry["name"]
        digests.add(entry["hash"])
        if entry["kind"] == "dir":
            _, pages, more = _files(base, turn, below)
            found, digests = found | pages, digests | more
        else:
            found[f"/v1/turns/{turn}/fs/{below}"] = _page(base, f"/v1/turns/{turn}/fs/{below}")
    return listing["fs_root_hash"], found, digests


if __name__ == "__main__":
    print(json.dumps(record(*sys.argv[1:3]), indent=1, sort_keys=True))  # noqa: T201
