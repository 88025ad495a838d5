"""The run configuration, typed: what a run does unless its command line says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attractor.config.document import Value, read_document
from attractor.config.schema import RUN_CONFIG
from attractor.config.secrets import REMOVED, argv_without_secrets, without_secrets
from attractor.contracts import AgentSettings, ProbePolicy, ProviderSettings, SpendLimits
from attractor.errors import ConfigError

DEFAULT_BINARY_ADDR = "127.0.0.1:9009"
DEFAULT_HTTP_BASE_URL = "http://127.0.0.1:9010"
DEFAULT_BRANCH_PREFIX = "attractor/run"
DEFAULT_SNAPSHOTS_MAX_MIB = 64
DEFAULT_SETUP_TIMEOUT_MS = 600_000
DEFAULT_STALL_TIMEOUT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Autostart:
    """How to start CXDB where none answers. `command` is an argv."""

    command: tuple[str, ...]
    wait_timeout_seconds: float = 20.0
    poll_interval_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class RunConfig:
    """All durations in seconds, all paths absolute. `stage_timeout_seconds` None: no bound but the node's own."""

    file: str = ""
    repo_path: Path | None = None
    cxdb_binary_addr: str = DEFAULT_BINARY_ADDR
    cxdb_http_base_url: str = DEFAULT_HTTP_BASE_URL
    cxdb_required: bool = False
    cxdb_snapshots_max_bytes: int = DEFAULT_SNAPSHOTS_MAX_MIB << 20
    cxdb_autostart: Autostart | None = None
    require_clean: bool = False
    run_branch_prefix: str = DEFAULT_BRANCH_PREFIX
    setup_commands: tuple[str, ...] = ()
    setup_timeout_seconds: float = DEFAULT_SETUP_TIMEOUT_MS / 1000
    stage_timeout_seconds: float | None = None
    agents: AgentSettings = field(default_factory=AgentSettings)
    catalog: Path | None = None
    probes: ProbePolicy | None = None
    written: Mapping[str, Any] = field(default_factory=dict)


def load_run_config(path: Path) -> RunConfig:
    """Read and check a run.yaml (or JSON). ConfigError names file, line, column and key."""
    document = read_document(path)
    return run_config_of(document)


def run_config_of(document: Value) -> RunConfig:
    """`load_run_config` for a document already read."""
    data = RUN_CONFIG.check(document)
    cxdb, git, setup = data.get("cxdb", {}), data.get("git", {}), data.get("setup", {})
    http_base_url = cxdb.get("http_base_url", DEFAULT_HTTP_BASE_URL)
    stage_timeout_ms = data.get("runtime_policy", {}).get("stage_timeout_ms", 0)
    return RunConfig(
        file=document.file,
        repo_path=data.get("repo", {}).get("path"),
        cxdb_binary_addr=cxdb.get("binary_addr", DEFAULT_BINARY_ADDR),
        cxdb_http_base_url=_address(http_base_url, f"{document.file}: cxdb.http_base_url"),
        cxdb_required=cxdb.get("required", False),
        cxdb_snapshots_max_bytes=_snapshots_max_bytes(cxdb.get("snapshots", {})),
        cxdb_autostart=_autostart(cxdb.get("autostart", {})),
        require_clean=git.get("require_clean", False),
        run_branch_prefix=git.get("run_branch_prefix", DEFAULT_BRANCH_PREFIX),
        setup_commands=tuple(setup.get("commands", ())),
        setup_timeout_seconds=setup.get("timeout_ms", DEFAULT_SETUP_TIMEOUT_MS) / 1000,
        stage_timeout_seconds=stage_timeout_ms / 1000 if stage_timeout_ms else None,
        agents=_agents(data, document.file),
        catalog=data.get("modeldb", {}).get("openrouter_model_info_path"),
        probes=_probes(data.get("preflight", {}).get("prompt_probes", {})),
        written=_plain(data),
    )


def _address(url: str, place: str) -> str:
    """A server's address, which stands in the manifest and on command lines, where anybody may read it."""
    if without_secrets(url) != url:
        raise ConfigError(
            "holds credentials, which the run's records and command lines would show",
            place=place,
            hint="take them out of the address, and give the key in the provider's environment variable",
        )
    return url


def _agents(data: Mapping[str, Any], file: str) -> AgentSettings:
    llm, policy = data.get("llm", {}), data.get("runtime_policy", {})
    stall_ms = policy.get("stall_timeout_ms", DEFAULT_STALL_TIMEOUT_MS)
    return AgentSettings(
        providers={
            name: ProviderSettings(
                str(settings.get("executable", "")),
                tuple(settings.get("failover", ())),
                settings.get("model", ""),
                _address(settings.get("api", {}).get("base_url", ""), f"{file}: llm.providers.{name}.api.base_url"),
            )
            for name, settings in llm.get("providers", {}).items()
        },
        test_shim=llm.get("cli_profile") == "test_shim",
        stall_timeout_seconds=stall_ms / 1000 if stall_ms else None,
        stall_check_seconds=policy.get("stall_check_interval_ms", 5000) / 1000,
        limits=SpendLimits(policy.get("max_cost_usd"), policy.get("max_tokens")),
    )


def _probes(data: Mapping[str, Any]) -> ProbePolicy | None:
    """None unless enabled: a probe costs money. (`transports` are of the API backend; an agent program has one.)"""
    if not data.get("enabled"):
        return None
    default = ProbePolicy()
    return ProbePolicy(
        timeout_seconds=data.get("timeout_ms", default.timeout_seconds * 1000) / 1000,
        retries=data.get("retries", default.retries),
        base_delay_seconds=data.get("base_delay_ms", default.base_delay_seconds * 1000) / 1000,
        max_delay_seconds=data.get("max_delay_ms", default.max_delay_seconds * 1000) / 1000,
    )


def _snapshots_max_bytes(data: Mapping[str, Any]) -> int:
    enabled = data.get("enabled", True)
    return int(data.get("max_mib", DEFAULT_SNAPSHOTS_MAX_MIB)) << 20 if enabled else 0


def _autostart(data: Mapping[str, Any]) -> Autostart | None:
    if not data.get("enabled") or not data.get("command"):
        return None
    return Autostart(
        tuple(data["command"]),
        data.get("wait_timeout_ms", 20_000) / 1000,
        data.get("poll_interval_ms", 250) / 1000,
    )


def _plain(value: Any) -> Any:
    """The same without paths as objects and without what may be secret: for run_config.json."""
    if isinstance(value, Mapping):
        return {key: dict.fromkeys(item, REMOVED) if key == "headers" else _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return argv_without_secrets(value)
        return [_plain(item) for item in value]
    return without_secrets(str(value)) if isinstance(value, str | Path) else value
