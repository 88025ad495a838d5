"""What is too large for the context is kept as an artifact, and told of in events and turns (spec 5.5)."""

import hashlib
import json
from pathlib import Path

import attractor
from attractor.rundir import ArtifactStore, Layout
from tests.app.runs import run

LARGE = "x" * 150_000


def told(value: str) -> str:
    """A command whose status file puts the value of that Python expression into the context."""
    status = f"{{'outcome': 'success', 'context_updates': {{'small': 1, 'big.one': {value}}}}}"
    script = f"import json, os; json.dump({status}, open(os.environ['ATTRACTOR_STATUS_FILE'], 'w'))"
    return f'python3 -c \\"{script}\\"'


def test_a_large_value_leaves_the_context_small_and_can_be_had_by_the_next_stage(repo: Path) -> None:
    ran = run(
        repo,
        f"""a [tool_command="{told("'x' * 150000")}"]"""
        ' b [tool_command="wc -c < $ATTRACTOR_LOGS_ROOT/artifacts/a-1-1-big.one.json"] start -> a -> b -> exit',
    )
    assert ran.status == "success", ran.json("final.json")
    context = ran.json("checkpoint.json")["context"]
    path = ran.root / "artifacts" / "a-1-1-big.one.json"
    assert context["small"] == 1
    assert context["big.one"] == f"artifact a-1-1-big.one (150002 bytes): {path}"
    assert ArtifactStore(Layout(ran.root)).retrieve("a-1-1-big.one") == LARGE
    (event,) = ran.events("artifact_stored")
    assert (event["name"], event["size_bytes"], event["node_id"]) == ("big.one", 150_002, "a")
    assert event["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert int((ran.root / "b" / "stdout.log").read_text()) == path.stat().st_size


def test_a_large_list_is_kept_too_and_a_small_one_is_not(repo: Path) -> None:
    ran = run(
        repo,
        f"""a [tool_command="{told("[1] * 100000")}"]"""
        f""" b [tool_command="{told("[1] * 10")}"] start -> a -> b -> exit""",
    )
    assert [event["node_id"] for event in ran.events("artifact_stored")] == ["a"]
    assert ran.json("checkpoint.json")["context"]["big.one"] == [1] * 10


def test_a_handler_of_ones_own_has_the_store(repo: Path) -> None:
    class Keeps:
        def execute(self, stage: attractor.StageRun) -> attractor.Outcome:
            if stage.artifacts.has("made"):
                return attractor.Outcome(attractor.Status.SUCCESS, notes=json.dumps(stage.artifacts.retrieve("made")))
            stage.artifacts.store("made", "what was made", {"by": stage.node.id})
            return attractor.Outcome(attractor.Status.SUCCESS)

    result = attractor.run(
        "digraph { start [shape=Mdiamond] exit [shape=Msquare] a [type=own] b [type=own] start -> a -> b -> exit }",
        repo=repo,
        logs_root=repo.parent / "logs",
        cxdb=False,
        extensions=attractor.Extensions(handlers={"own": Keeps}),
    )
    status = json.loads((result.logs_root / "b" / "status.json").read_text())
    assert status["notes"] == '{"by": "a"}'


def test_no_node_may_have_the_folders_name() -> None:
    text = "digraph { start [shape=Mdiamond] exit [shape=Msquare] artifacts [prompt=x] start -> artifacts -> exit }"
    assert "node_id_reserved" in {finding.rule for finding in attractor.validate(text).errors}
