"""The values of secrets in the environment are in no record of a run, whoever prints them."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.contracts import Redactor
from attractor.contracts.redaction import BLOCK_BYTES
from tests.app.agents import CODEX_OK, NODE, STATUS, Agents
from tests.app.runs import killed_in_stage, resume, run

CANARY = 'canary-4711-"quoted"'


def holders(folder: Path) -> list[str]:
    """Files below a folder that hold the canary, as it is or as JSON has it."""
    forms = CANARY.encode(), json.dumps(CANARY)[1:-1].encode()
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(folder)) for path in files if any(form in path.read_bytes() for form in forms)]


def test_a_tool_that_prints_a_secret_leaves_its_name(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)
    ran = run(
        repo,
        'a [max_retries=1, tool_command="echo \\"$DEPLOY_TOKEN\\"; '
        'echo \\"bad: $DEPLOY_TOKEN: operation timed out\\" >&2; exit 3"] start -> a -> exit',
    )
    assert ran.status == "fail"
    assert (ran.root / "a" / "stdout.log").read_text() == "[redacted DEPLOY_TOKEN]\n"
    assert "bad: [redacted DEPLOY_TOKEN]" in ran.json("final.json")["failure_reason"]
    assert holders(repo.parent) == []


def test_what_an_agent_says_and_reports_is_looked_through(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    item = {"id": "i1", "type": "agent_message", "text": f"The key is {CANARY}."}
    line = json.dumps({"type": "item.completed", "item": item})
    status = json.dumps({"outcome": "success", "notes": CANARY, "context_updates": {"k": [CANARY, {CANARY: 1}]}})
    report = f"cat > \"$ATTRACTOR_STATUS_FILE\" <<'END'\n{status}\nEND\n"
    agents.program("openai", f"cat <<'END'\n{line}\nEND\n{CODEX_OK}{STATUS}{report}")
    ran = agents.run(NODE % "")
    assert ran.status == "success"
    assert "The key is [redacted OPENAI_API_KEY]." in (ran.root / "progress.ndjson").read_text()
    redacted = "[redacted OPENAI_API_KEY]"
    assert ran.json("checkpoint.json")["context"]["k"] == [redacted, {redacted: 1}]
    assert holders(ran.root) == []


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("OPENAI_API_KEY", "sk-12345678", True),
        ("GITHUB_TOKEN", "ghp_12345678", True),
        ("db_password", "hunter2hunter2", True),
        ("AWS_SECRET_ACCESS_KEY", "x" * 40, True),
        ("SIGNING_KEY", "12345678", True),
        ("OPENAI_API_KEY", "short", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json", False),
        ("ATTRACTOR_RUN_TOKEN", "0123456789abcdef", False),
        ("PATH", "12345678", False),
        ("KEYBOARD", "12345678", False),
    ],
)
def test_which_variables_are_secrets(name: str, value: str, secret: bool) -> None:
    assert (Redactor({name: value}).text(f"<{value}>") == f"<[redacted {name}]>") is secret


def test_the_longer_of_two_secrets_goes_first() -> None:
    redactor = Redactor({"A_TOKEN": "12345678", "B_TOKEN": "1234567890"})
    assert redactor.text("1234567890 12345678") == "[redacted B_TOKEN] [redacted A_TOKEN]"


@given(secret=st.text(min_size=8), around=st.text())
def test_no_text_keeps_a_secret(secret: str, around: str) -> None:
    if secret.startswith("/") or secret in "[redacted A_TOKEN]":
        return
    redactor = Redactor({"A_TOKEN": secret})
    kept = redactor.value({"a": [f"{around}{secret}{around}"]})
    assert redactor.text(kept["a"][0]) == kept["a"][0]


def test_links_and_pipes_are_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(CANARY)
    folder = tmp_path / "stage"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    (folder / "empty").touch()
    Redactor({"A_TOKEN": CANARY}).tree(folder)
    assert outside.read_text() == CANARY


def test_a_file_that_may_not_be_written_is_cleaned_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "stdout.log"
    log.write_text(f"before {CANARY} behind")
    log.chmod(0o400)
    real = os.open

    def without_root(path: str, flags: int, *more: int, **options: int) -> int:
        if flags & os.O_RDWR and not os.stat(path).st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, "as for everybody but root", path)
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", without_root)
    Redactor({"A_TOKEN": CANARY}).tree(tmp_path)
    assert log.read_text() == "before [redacted A_TOKEN] behind"


def test_what_a_killed_engine_has_left_is_looked_through_at_resume(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)
    root = killed_in_stage(repo, 'printf %s \\"$DEPLOY_TOKEN\\"; echo > {ready}; sleep 300', "true")
    assert holders(root) == ["a/stdout.log"]
    assert resume(root).status == "success"
    assert holders(root) == []


def test_a_secret_across_two_blocks_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (BLOCK_BYTES - 5) + CANARY.encode() + b"y" * 10)
    Redactor({"A_TOKEN": CANARY}).tree(tmp_path)
    assert (tmp_path / "log").read_bytes() == b"x" * (BLOCK_BYTES - 5) + b"[redacted A_TOKEN]" + b"y" * 10


@pytest.mark.parametrize(
    "command",
    [
        # where it is cut
        "head -c 3990 /dev/zero | tr '\\0' x; echo $PEM_PRIVATE_KEY; head -c 20000 /dev/zero | tr '\\0' y",
        "python3 -c 'import json, os; print(json.dumps(os.environ[str().join([chr(80), \\\"EM_PRIVATE_KEY\\\"])]))'",
        "python3 -c 'import os; print(repr(os.environ[\\\"PEM_PRIVATE_KEY\\\"]))'",
    ],
    ids=["cut", "json", "repr"],
)
def test_a_secret_of_several_lines_or_at_a_cut_is_in_no_record(
    repo: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    secret = "plainsecret0123" if "head" in command else 'line one\nline "two" \\ three'
    monkeypatch.setenv("PEM_PRIVATE_KEY", secret)
    ran = run(repo, f'a [tool_command="{command}"] start -> a -> exit')
    assert ran.status == "success"
    marks = ("plainsecret", "line one")
    kept = [path for path in ran.root.rglob("*") if path.is_file() and "worktree" not in path.parts]
    found = [str(path) for path in kept if any(mark in path.read_text(errors="replace") for mark in marks)]
    assert found == []
    assert "[redacted PEM_PRIVATE_KEY]" in (ran.root / "a" / "stdout.log").read_text()


def test_what_setup_prints_and_a_label_are_looked_through(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)
    config = repo.parent / "run.yaml"
    config.write_text("setup: {commands: ['echo $DEPLOY_TOKEN', 'echo $DEPLOY_TOKEN >&2; exit 3']}\n")
    ran = run(repo, "a start -> a -> exit", config=config)
    assert ran.status == "fail"
    assert "[redacted DEPLOY_TOKEN]" in ran.json("final.json")["failure_reason"]
    assert holders(repo.parent) == []
