"""The table of run configuration keys: name, type, bounds. One place to look for "what may stand in run.yaml".

Keys are those of the reference engine's published run.yaml. Unknown ones are refused by name and place: a
misspelt `require_claen` must not silently mean its default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from attractor.config.document import Value
from attractor.errors import ConfigError

Check = Callable[[Value, str], Any]


def _wrong(value: Value, key: str, expected: str) -> ConfigError:
    shown = type(value.content).__name__ if isinstance(value.content, dict | list) else repr(value.content)
    return ConfigError(f"{key} is {shown}, expected {expected}", place=value.place)


def text(value: Value, key: str) -> str:
    if not isinstance(value.content, str) or "\0" in value.content:
        raise _wrong(value, key, "text")
    return value.content


def path(value: Value, key: str) -> Path:
    """A path; a relative one counts from the configuration file's folder."""
    try:
        written = Path(text(value, key)).expanduser()
    except RuntimeError as error:  # ~nosuchuser
        raise _wrong(value, key, "a path below a home that exists") from error
    return (Path(value.file).parent / written).absolute()


def flag(value: Value, key: str) -> bool:
    if not isinstance(value.content, bool):
        raise _wrong(value, key, "true or false")
    return value.content


def whole(minimum: int) -> Check:
    def check(value: Value, key: str) -> int:
        content = value.content
        if isinstance(content, bool) or not isinstance(content, int) or content < minimum:
            raise _wrong(value, key, f"a whole number of at least {minimum}")
        return content

    return check


def number(value: Value, key: str) -> float:
    content = value.content
    if isinstance(content, bool) or not isinstance(content, int | float) or content < 0:
        raise _wrong(value, key, "a number of at least 0")
    return float(content)


def choice(*allowed: str) -> Check:
    def check(value: Value, key: str) -> str:
        if value.content not in allowed:
            raise _wrong(value, key, "one of " + ", ".join(allowed))
        return str(value.content)

    return check


def version_one(value: Value, key: str) -> int:
    if value.content != 1 or isinstance(value.content, bool):
        raise _wrong(value, key, "1, the only version there is")
    return 1


def always_true(value: Value, key: str) -> bool:
    if flag(value, key) is not True:
        raise ConfigError(
            f"{key} cannot be false",
            place=value.place,
            hint="one commit a node is what resume stands on; pass --no-git to run without any",
        )
    return True


def each(item: Check) -> Check:
    def check(value: Value, key: str) -> list[Any]:
        if not isinstance(value.content, list):
            raise _wrong(value, key, "a list")
        return [item(entry, f"{key}[{number}]") for number, entry in enumerate(value.content)]

    return check


texts = each(text)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with fixed keys. Checked, it is a dict that holds only the keys that were written."""

    keys: Mapping[str, Check | Section | Table] = field(default_factory=dict)

    def check(self, value: Value, key: str = "") -> dict[str, Any]:
        if value.content is None:
            return {}
        if not isinstance(value.content, dict):
            raise _wrong(value, key or "the file", "keys and values")
        checked = {}
        for name, item in value.content.items():
            inner = f"{key}.{name}" if key else name
            if name not in self.keys:
                raise self._unknown(item, name, inner)
            rule = self.keys[name]
            checked[name] = rule.check(item, inner) if isinstance(rule, Section | Table) else rule(item, inner)
        return checked

    def _unknown(self, value: Value, name: str, key: str) -> ConfigError:
        close = get_close_matches(name, self.keys, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "known here: " + ", ".join(sorted(self.keys))
        return ConfigError(f"unknown key {key!r}", place=value.place, hint=hint)


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with free keys, each holding the same kind of value."""

    item: Section | Check

    def check(self, value: Value, key: str) -> dict[str, Any]:
        if not isinstance(value.content, dict):
            raise _wrong(value, key, "keys and values")
        rule = self.item
        return {
            name: rule.check(item, f"{key}.{name}") if isinstance(rule, Section) else rule(item, f"{key}.{name}")
            for name, item in value.content.items()
        }


RUN_CONFIG = Section(
    {
        "version": version_one,
        "repo": Section({"path": path}),
        "cxdb": Section(
            {
                "binary_addr": text,
                "http_base_url": text,
                "required": flag,
                "snapshots": Section({"enabled": flag, "max_mib": whole(1)}),
                "autostart": Section(
                    {
                        "enabled": flag,
                        "command": texts,
                        "wait_timeout_ms": whole(1),
                        "poll_interval_ms": whole(1),
                        "ui": Section({"enabled": flag, "command": texts, "url": text}),
                    }
                ),
            }
        ),
        "llm": Section(
            {
                "cli_profile": choice("real", "test_shim"),
                "providers": Table(
                    Section(
                        {
                            "backend": choice("cli", "api"),
                            "executable": path,
                            "failover": texts,
                            "model": text,
                            "api": Section(
                                {
                                    "protocol": text,
                                    "base_url": text,
                                    "path": text,
                                    "api_key_env": text,
                                    "provider_options_key": text,
                                    "profile_family": text,
                                    "headers": Table(text),
                                }
                            ),
                        }
                    )
                ),
            }
        ),
        "modeldb": Section(
            {
                "openrouter_model_info_path": path,
                "openrouter_model_info_update_policy": choice("pinned", "on_run_start"),
                "openrouter_model_info_url": text,
                "openrouter_model_info_fetch_timeout_ms": whole(1),
            }
        ),
        "git": Section({"require_clean": flag, "run_branch_prefix": text, "commit_per_node": always_true}),
        "setup": Section({"commands": texts, "timeout_ms": whole(0)}),
        "runtime_policy": Section(
            {
                "stage_timeout_ms": whole(0),
                "stall_timeout_ms": whole(0),
                "stall_check_interval_ms": whole(1),
                "max_llm_retries": whole(0),
                "max_cost_usd": number,
                "max_tokens": whole(0),
            }
        ),
        "preflight": Section(
            {
                "prompt_probes": Section(
                    {
                        "enabled": flag,
                        "transports": each(choice("complete", "stream")),
                        "timeout_ms": whole(1),
                        "retries": whole(0),
                        "base_delay_ms": whole(0),
                        "max_delay_ms": whole(0),
                    }
                )
            }
        ),
    }
)
