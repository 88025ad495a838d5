"""Whatever a file holds, its reader answers with a value or with an error of ours: no traceback, no hang, no write.

One row a parser: documents it must take, and the call. The graph language, agent streams and CXDB's server have fuzzers
of their own (tests/dot, tests/backends, tests/harness_cxdb).
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attractor.backends import load_catalog
from attractor.config import load_run_config
from attractor.contracts import Answer, BranchResult, Question, read_json
from attractor.cxdb import RunFacts, described, origin_of
from attractor.cxdb.frames import FrameReader, decode_ack, decode_error, decode_head, decode_hello, decode_turns
from attractor.errors import AttractorError
from attractor.graph import parse_condition, parse_stylesheet
from attractor.handlers.status_file import parse_status
from attractor.rundir import (
    ArtifactStore,
    Layout,
    last_event,
    load_checkpoint,
    open_questions,
    read_events,
    read_final,
    read_manifest,
    read_owner,
)
from harness.provider.grammar import read_script
from harness.scenario_file import load_scenarios
from harness.toml_table import ScenarioError
from tests.fuzz.mutation import near

ROOT = Path(__file__).parents[2]
Read = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Parser:
    """`read` is given the document and an empty folder to put it in. `raises`: what a caller of the parser catches."""

    name: str
    corpus: Sequence[bytes]
    read: Read
    raises: tuple[type[Exception], ...] = (AttractorError,)


def file(name: str, read: Callable[[Path], object]) -> Read:
    """The document as a file of that name."""

    def put_and_read(data: bytes, folder: Path) -> object:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return read(place)

    return put_and_read


def run_file(name: str, read: Callable[[Layout], object]) -> Read:
    """The document as a file of a run directory."""
    return file(name, lambda place: read(Layout(place.parents[name.count("/")])))


def text(read: Callable[[str], object]) -> Read:
    return lambda data, folder: read(data.decode(errors="replace"))


def as_json(read: Callable[[object], object]) -> Read:
    """What a file holds that was read as JSON before."""
    return lambda data, folder: read(read_json(data))


STATUS = (
    b'{"outcome": "partial_success", "preferred_label": "Y", "suggested_next_ids": ["a"], "context_updates": {"a": 1}}'
)
LEGACY_STATUS = b'{"status": "retry", "notes": "x", "failure_reason": "y", "failure_class": "transient_infra"}'
CONFIG = b"""version: 1
repo: {path: /repo}
cxdb:
  binary_addr: '127.0.0.1:9009'
  http_base_url: 'http://127.0.0.1:9010'
  autostart: {enabled: true, command: [a, b]}
llm:
  cli_profile: real
  providers: {openai: {backend: cli, failover: [google], model: m}, google: {backend: cli, executable: /bin/x}}
modeldb: {openrouter_model_info_path: ./models.json}
git: {run_branch_prefix: attractor/run}
runtime_policy: {stage_timeout_ms: 1000, max_tokens: 5, max_cost_usd: 1.5}
preflight: {prompt_probes: {enabled: true, timeout_ms: 5}}
setup: {commands: ['make'], timeout_ms: 5}
"""
EVENTS = (
    b"\n".join(
        json.dumps({"seq": n, "ts": "2026-01-01T00:00:00.000000Z", "run_id": "r", "event": "stage_heartbeat"}).encode()
        for n in (1, 2, 3)
    )
    + b"\n"
)
MANIFEST = json.dumps(
    {
        "run_id": "r", "name": "G", "goal": "", "start_time": "2026-01-01T00:00:00Z", "logs_root": "/l",
        "worktree": "/l/worktree", "repo_path": "/r", "base_sha": "0" * 40, "run_branch": "attractor/run/r",
        "graph_dot": "/l/graph.dot", "labels": {}, "cxdb": None, "policy": {"stage_timeout_seconds": 1.5}, "token": "t",
        "engine_version": "0", "extensions": {},
    }
).encode()  # fmt: skip
FINAL = b'{"timestamp": "t", "status": "fail", "run_id": "r", "final_git_commit_sha": "", "failure_class": "canceled"}'
CHECKPOINT = json.dumps(
    {
        "version": 1, "run_id": "r", "timestamp": "t", "current_node": "a", "completed_nodes": ["start", "a"],
        "node_retries": {}, "node_outcomes": {"a": {"outcome": "success"}}, "node_visits": {"a": 1},
        "context": {"a": 1, "b": [1, {"c": None}]}, "logs": [], "git_commit_sha": "", "git_tree_sha": "",
        "restart_count": 0, "base_logs_root": "/l", "next_node": "", "sequence": 2, "restart_signatures": {},
    }
).encode()  # fmt: skip
QUESTION = {
    "id": "gate", "stage": "gate", "type": "yes_no", "text": "?", "default": "Y", "timeout_seconds": 1.5,
    "options": [{"key": "Y", "label": "Yes", "target": "a"}],
}  # fmt: skip
ASKED = json.dumps({**QUESTION, "asked_at": "t", "waiting": True}).encode()
BRANCH = b'{"id": "a", "outcome": "success", "nodes": ["a"], "score": 1.5, "canceled": false, "tokens": 3}'
CATALOG = b'{"data": [{"id": "openai/m", "pricing": {"prompt": "0.1", "completion": "0.2"}, "context_length": 5}]}'
LITELLM = b'{"gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "max_input_tokens": 5}}'
STYLE = b'* { llm_model: a; } box { llm_provider: "b" } .fast { reasoning_effort: low; } #x { llm_model: c }'
CONDITION = b'outcome=success && context.a.b != "x y" && preferred_label=Fix'
FRAME = (5).to_bytes(4, "little") + (1).to_bytes(2, "little") + b"\0\0" + (7).to_bytes(8, "little") + b"hello"
TURN = b"\x84\x01\xa1r\x02\xa1x\x64\x05\x65\x00"
SCRIPT = b'[[openai]]\ntext = "a"\n[[openai]]\nhttp = 429\nretry_after = 2\n[[google]]\nwrite = { "a.txt" = "b" }\n'
SCENARIOS = [path.read_bytes() for path in sorted((ROOT / "scenarios" / "agents").glob("*.toml"))]
FACTS = RunFacts(run_id="r", context_id="1", graph_dot="")


def frames(data: bytes, folder: Path) -> object:
    """All that a peer may send: frames, and the payload of each kind of answer."""
    found = FrameReader().feed(data)
    for decode in (decode_ack, decode_error, decode_head, decode_hello):
        try:
            decode(data)
        except AttractorError:
            continue
    try:
        return decode_turns(data, with_payload=True)
    except AttractorError:
        return found


PARSERS = [
    Parser("condition", [CONDITION, b"outcome!=fail", b"a"], text(parse_condition), ()),
    Parser("stylesheet", [STYLE], text(parse_stylesheet), ()),
    Parser("config.yaml", [CONFIG, b"{}", b"repo:\n  path: x\n"], file("run.yaml", load_run_config)),
    Parser("config.json", [b'{"version": 1, "repo": {"path": "/r"}}'], file("run.json", load_run_config)),
    Parser("status.json", [STATUS, LEGACY_STATUS, b'"x"'], lambda data, _: parse_status(data, Path("s.json")), ()),
    Parser("manifest.json", [MANIFEST], run_file("manifest.json", read_manifest)),
    Parser("final.json", [FINAL], run_file("final.json", lambda layout: read_final(layout, "r"))),
    Parser("checkpoint.json", [CHECKPOINT], run_file("checkpoint.json", load_checkpoint)),
    Parser("progress.ndjson", [EVENTS], file("progress.ndjson", lambda place: list(read_events(place)))),
    Parser("newest event", [EVENTS], file("progress.ndjson", last_event)),
    Parser("question.json", [ASKED], run_file("questions.d/gate/question.json", lambda at: list(open_questions(at)))),
    Parser("run.lock", [b'{"pid": 1, "start": 2, "host": "h"}', b"1 2 h\n"], run_file("run.lock", read_owner)),
    Parser("artifact", [b'{"id":"x","name":"n","size_bytes":1,"stored_at":"t","data":[1]}'],
           run_file("artifacts/x.json", lambda at: ArtifactStore(at).retrieve("x"))),
    Parser("branch_result.json", [BRANCH], as_json(lambda data: BranchResult.from_json(data)),  # type: ignore[arg-type]
           (KeyError, ValueError, TypeError, AttributeError)),
    Parser("answer.json", [b'{"kind": "given", "value": "Y", "who": "x"}'],
           as_json(lambda data: Answer.from_json(data)),  # type: ignore[arg-type]
           (ValueError, TypeError, AttributeError)),
    Parser("question", [json.dumps(QUESTION).encode()], as_json(lambda data: Question.from_json(data)),  # type: ignore[arg-type]
           (KeyError, ValueError, TypeError, AttributeError)),
    Parser("model catalogue", [CATALOG, LITELLM], file("models.json", load_catalog)),
    Parser("CXDB frames", [FRAME, FRAME * 3, b"\1\0\0\0" + FRAME], frames),
    Parser("stored turn", [TURN], lambda data, _: (described("com.kilroy.attractor.RunStarted", data),
                                                   origin_of(data, FACTS)), ()),
    Parser("scenario", SCENARIOS, file("agents/s.toml", load_scenarios), (ScenarioError,)),
    Parser("provider script", [SCRIPT], file("s.toml", read_script), (ScenarioError,)),
]  # fmt: skip
NAMES = [parser.name for parser in PARSERS]


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_parser_answers_or_refuses(
    parser: Parser, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    document = data.draw(near(parser.corpus))
    outside = sorted(path.name for path in folder.parent.iterdir())
    with suppress(*parser.raises):
        parser.read(document, folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == outside


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
def test_the_documents_it_begins_with_are_taken(parser: Parser, tmp_path: Path) -> None:
    """Else the fuzzer only ever sees the first check fail. The first of each is whole."""
    parser.read(parser.corpus[0], tmp_path)


@pytest.mark.parametrize("parser", PARSERS, ids=NAMES)
@pytest.mark.parametrize("what", ["deep", "wide", "long"])
def test_what_is_meant_to_exhaust_is_refused_or_read_in_time(parser: Parser, what: str, tmp_path: Path) -> None:
    size = 200_000
    documents = {
        "deep": [b"[" * size, b'{"a":' * size, b"(" * size, b"- " * size],
        "wide": [b"[" + b"0," * size + b"0]", b"a=b && " * (size // 10), b"a: 1\n" * (size // 10)],
        "long": [b"9" * size, b'"' + b"x" * size + b'"', b"x" * size],
    }
    for number, document in enumerate(documents[what]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with suppress(*parser.raises):
            parser.read(document, folder)
