"""Reads `[agents]` of a scenario: which programs run, and their answers, provider by provider.

The same answers serve a fake and, through the scripted provider, the real program. What only one of the two
can do is refused with the other, because a key that is passed over would test something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.agents.spec import AgentSpec
from harness.provider.grammar import read_answer
from harness.provider.script import PROVIDERS
from harness.toml_table import Table

__all__ = ["read_agents"]

PROGRAM_KINDS = ("fake", "real")
PROFILES = ("test_shim", "real")
SIGNALS = ("KILL", "TERM", "SEGV", "ABRT")

# What only a fake can be told to do: instead of being answered ...
_FAKE_KINDS: Mapping[str, tuple[type, ...]] = {
    "exit": (int,),
    "die": (str,),
    "flood": (int,),
    "noise": (int,),
    "forever": (bool,),
}
# ... and besides.
_FAKE_EXTRAS: Mapping[str, tuple[type, ...]] = {
    "status": (dict, str),
    "stdout": (str,),
    "stderr": (str,),
    "ignore_term": (bool,),
}
_PROVIDER_ONLY = ("bytes_per_second",)


def read_agents(table: Table) -> AgentSpec:
    real = table.choice("program", PROGRAM_KINDS, "fake") == "real"
    test_shim = table.choice("cli_profile", PROFILES, "real" if real else "test_shim") == "test_shim"
    if real and test_shim:
        table.complain("cli_profile", "a real program is no test shim")
    answers: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for provider in PROVIDERS:
        if table.has(provider):
            answers[provider] = _read_list(table, provider, real)
    if not answers:
        table.problems.add(table.path, f"answers are needed for at least one of: {', '.join(PROVIDERS)}")
    spec = AgentSpec(
        real=real,
        test_shim=test_shim,
        credentials=table.flag("credentials", True),
        retries=table.flag("retries", True),
        answers=answers,
    )
    table.asked |= set(PROVIDERS)
    table.finish()
    return spec


def _read_list(table: Table, provider: str, real: bool) -> tuple[Mapping[str, Any], ...]:
    answers: list[Mapping[str, Any]] = []
    table.each_table(provider, lambda element: answers.append(_read_one(element, real)))
    return tuple(answers)


def _read_one(table: Table, real: bool) -> Mapping[str, Any]:
    fakes: dict[str, Any] = {}
    for key, kinds in {**_FAKE_KINDS, **_FAKE_EXTRAS}.items():
        value = table.get(key, kinds)
        if value is not None:
            fakes[key] = value
            if real:
                table.complain(key, "only a fake program can be told to")
    if "die" in fakes:
        table.choice("die", SIGNALS, "KILL")
    if not real:
        for key in _PROVIDER_ONLY:
            if table.has(key):
                table.complain(key, "only a provider can do that, and a fake program has none")
    answer = read_answer(table, tuple(_FAKE_KINDS))
    if answer is not None:
        return {**answer.to_json(), **fakes}
    shared = {key: table.data[key] for key in ("times", "when", "delay") if table.has(key)}
    return {**shared, **fakes}
