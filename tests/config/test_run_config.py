"""run.yaml: strict, and every complaint has its place."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.config import load_run_config, parse_document, run_config_of
from attractor.errors import ConfigError

PUBLISHED = """\
version: 1
repo:
  path: repo
cxdb:
  binary_addr: 127.0.0.1:9009
  http_base_url: http://127.0.0.1:9010
  autostart:
    enabled: true
    command: ["start-cxdb", "--now"]
    wait_timeout_ms: 20000
    poll_interval_ms: 250
    ui: {enabled: true, command: ["ui"], url: "http://127.0.0.1:9020"}
llm:
  cli_profile: real
  providers:
    openai: {backend: cli}
    kimi:
      backend: api
      api: {protocol: anthropic_messages, api_key_env: KIMI_API_KEY, headers: {X-Secret: hunter2}}
modeldb:
  openrouter_model_info_path: models.json
  openrouter_model_info_update_policy: on_run_start
git: {require_clean: false, run_branch_prefix: attractor/run, commit_per_node: true}
setup: {commands: ["make deps"], timeout_ms: 5000}
runtime_policy: {stage_timeout_ms: 1500, stall_timeout_ms: 600000, stall_check_interval_ms: 5000, max_llm_retries: 6}
preflight:
  prompt_probes: {enabled: true, transports: [complete, stream], timeout_ms: 15000, retries: 1}
"""


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return load_run_config(path)


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, text)
    assert refusal.value.exit_code == 2
    return refusal.value


def test_the_published_keys_are_understood(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(PUBLISHED)
    config = load_run_config(tmp_path / "run.yaml")
    assert config.repo_path == tmp_path / "repo", "relative paths count from the file"
    assert config.cxdb_binary_addr == "127.0.0.1:9009"
    assert config.setup_commands == ("make deps",)
    assert (config.setup_timeout_seconds, config.stage_timeout_seconds) == (5.0, 1.5)
    assert config.cxdb_autostart is not None
    assert config.cxdb_autostart.command == ("start-cxdb", "--now")


def test_what_is_kept_in_the_run_directory_has_no_header_values(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(PUBLISHED)
    written = load_run_config(tmp_path / "run.yaml").written
    assert "hunter2" not in repr(written)
    assert "X-Secret" in repr(written)


def test_json_is_understood_too(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"version": 1, "git": {"run_branch_prefix": "x"}}')
    assert load_run_config(tmp_path / "run.json").run_branch_prefix == "x"


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("# nothing\n")
    config = load_run_config(tmp_path / "run.yaml")
    assert (config.cxdb_binary_addr, config.run_branch_prefix) == ("127.0.0.1:9009", "attractor/run")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("version: 1\ncxbd: {}\n", ":2:7", "unknown key 'cxbd'"),
        ("git:\n  require_claen: true\n", ":2:18", "unknown key 'git.require_claen'"),
        ("git:\n  require_clean: maybe\n", ":2:18", "git.require_clean is 'maybe', expected true or false"),
        ("version: 2\n", ":1:10", "version is 2, expected 1"),
        ("runtime_policy:\n  stage_timeout_ms: -1\n", ":2:21", "expected a whole number of at least 0"),
        ("runtime_policy: {stage_timeout_ms: true}\n", ":1:36", "expected a whole number"),
        ("repo: {path: 7}\n", ":1:14", "repo.path is 7, expected text"),
        ("repo: [a]\n", ":1:7", "repo is list, expected keys and values"),
        ("setup: {commands: [a, 1]}\n", ":1:23", "setup.commands[1] is 1, expected text"),
        ("git: {commit_per_node: false}\n", ":1:24", "git.commit_per_node cannot be false"),
        ("llm: {cli_profile: fake}\n", ":1:20", "expected one of real, test_shim"),
        ("a: 1\na: 2\n", ":2:1", "key 'a' stands twice"),
        ("a: [1\nb: 2\n", ":2:2", "is not valid YAML"),
        ("a: &x [1]\nb: *x\n", ":2:4", "aliases"),
        ("- 1\n", ":1:1", "the file is list"),
        ("a: " + "[" * 200, "", "is not valid YAML|nested deeper"),
        ("version: 2026-99-99\n", ":1:10", "cannot be read|expected 1"),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    error = refused(tmp_path, text)
    assert str(error.place).startswith(str(tmp_path / "run.yaml"))
    assert place in str(error.place)
    assert any(part in error.message for part in message.split("|"))


def test_a_near_miss_is_suggested(tmp_path: Path) -> None:
    assert "did you mean 'require_clean'?" in str(refused(tmp_path, "git: {require_claen: true}"))


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_run_config(tmp_path / "gone.yaml")
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_run_config(tmp_path / "run.yaml")


@given(st.text())
def test_no_text_makes_anything_but_a_configuration_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        run_config_of(parse_document(text, "run.yaml"))
