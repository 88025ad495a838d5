"""Equips a case with agent programs: fakes with their plans, or the real ones with a scripted provider.

    <sandbox>/agents/
      bin/       codex, claude, gemini: small wrappers; first on the engine's PATH
      *.json     plans of the fakes; starts.ndjson, requests.ndjson: what was started and asked
      home/      settings and temporary files of the real programs

Rules: programs without a script are there, too, and fail: a case must never come upon the machine's own. The
wrappers carry all that the programs need, whatever environment the engine gives its agents.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents import PROGRAMS
from harness.agents.real import DUMMY_KEY, agents_problem, command_line, furnish_home
from harness.agents.spec import AgentSpec
from harness.provider import Answer, ScriptedProvider
from harness.provider.process import read_notes

__all__ = ["Equipment", "equip", "missing_agents"]

_FAKE = Path(__file__).parent / "fakes" / "main.py"
_MODEL_IN_PATH = re.compile(r"/models/([^/:]+):")
_PROVIDERS = {program: provider for provider, program in PROGRAMS.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Equipment:
    """What the engine is told of the agents, and where they leave their traces. All empty: no agents."""

    directory: Path | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # for the run configuration
    run_args: tuple[str, ...] = ()
    search_path: Path | None = None

    def starts(self) -> tuple[Mapping[str, Any], ...]:
        """How the programs were started, oldest first; a look at `--help` is no start."""
        return tuple({"provider": _PROVIDERS[note["program"]], **note} for note in self._notes() if "argv" in note)

    def answered(self) -> tuple[str, ...]:
        """The provider of each answer that was given, oldest first."""
        given = [_PROVIDERS[note["program"]] for note in self._notes() if "answer" in note]
        asked = [note for note in self._requests() if note.get("answer") is not None or "refusing" in note]
        return (*given, *(note["provider"] for note in asked))

    def asked(self) -> tuple[str, ...]:
        """For each answer that was given, provider and model it was asked of, oldest first."""
        told = [f"{_PROVIDERS[note['program']]} {note['model']}" for note in self._notes() if "answer" in note]
        requests = (note for note in self._requests() if note.get("answer") is not None)
        return (*told, *(f"{note['provider']} {_model_of(note)}" for note in requests))

    def at_work(self) -> int | None:
        """The pid of the program that was started last, once it was given an answer."""
        starts = [note for note in self._notes() if "argv" in note]
        given = [note["at"] for note in (*self._notes(), *self._requests()) if note.get("answer") is not None]
        return starts[-1]["pid"] if starts and any(at >= starts[-1]["at"] for at in given) else None

    def _notes(self) -> list[dict[str, Any]]:
        return read_notes(self.directory / "starts.ndjson") if self.directory else []

    def _requests(self) -> list[dict[str, Any]]:
        return read_notes(self.directory / "requests.ndjson") if self.directory else []


def _model_of(request: Mapping[str, Any]) -> str:
    """Of a request to a provider: in its body, or, where that is the provider's way, in its path."""
    named = _MODEL_IN_PATH.search(request["path"])
    body = request["body"]
    return named[1] if named else str(body.get("model", "")) if isinstance(body, dict) else ""


def missing_agents(spec: AgentSpec | None) -> str:
    """Why this machine cannot run the case; empty when it can."""
    if spec is None or not spec.real:
        return ""
    return next(filter(None, map(agents_problem, spec.answers)), "")


def equip(spec: AgentSpec | None, directory: Path, marks: Mapping[str, str], stack: contextlib.ExitStack) -> Equipment:
    """Writes everything below `directory`; a provider that is needed is started, and stopped with the stack."""
    if spec is None:
        return Equipment()
    (directory / "bin").mkdir(parents=True)
    base_url, environment = "", {}
    if spec.real:
        scripts = {provider: [Answer(**answer) for answer in answers] for provider, answers in spec.answers.items()}
        server = ScriptedProvider(scripts, log=directory / "requests.ndjson")
        base_url = stack.enter_context(server).base_url
        environment = furnish_home(directory / "home", base_url, retries=spec.retries)
    for provider, program in PROGRAMS.items():
        plan = directory / f"{program}.json"
        plan.write_text(json.dumps(_plan(spec, provider, directory)), encoding="utf-8")
        wrapper = directory / "bin" / program
        command = f'exec {_fake(program, plan)} "$@"\n'
        if spec.real and provider in spec.answers:
            noted = f'{_fake("--record", program, plan)} "$@" || exit 70\n'
            command = noted + command_line(provider, directory / "home", base_url, _fake(), retries=spec.retries)
        wrapper.write_text("#!/bin/sh\n" + _exports({**marks, **environment}) + command, encoding="utf-8")
        wrapper.chmod(0o755)
    test_shim = spec.test_shim and not spec.real
    return Equipment(
        directory=directory,
        environment=_keys() if spec.credentials else {},
        config=_config(directory / "bin", spec, test_shim),
        run_args=("--allow-test-shim",) if test_shim else (),
        search_path=directory / "bin",
    )


def _plan(spec: AgentSpec, provider: str, directory: Path) -> dict[str, Any]:
    return {
        "answers": [dict(answer) for answer in spec.answers.get(provider, ())],
        "retries": spec.retries,
        "places": str(directory / f"{PROGRAMS[provider]}.places"),
        "records": str(directory / "starts.ndjson"),
    }


def _keys() -> dict[str, str]:
    return dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), DUMMY_KEY)


def _config(programs: Path, spec: AgentSpec, test_shim: bool) -> dict[str, Any]:
    providers: dict[str, Any] = {}
    for provider in spec.answers:
        executable = {"executable": str(programs / PROGRAMS[provider])} if test_shim else {}
        providers[provider] = {"backend": "cli", **executable}
    return {"llm": {"cli_profile": "test_shim" if test_shim else "real", "providers": providers}}


def _exports(values: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _fake(*words: str | Path) -> str:
    """Isolated and without site packages: it starts in a fiftieth of a second, and whatever the environment."""
    return shlex.join([sys.executable, "-I", "-S", "-X", "utf8", str(_FAKE), *map(str, words)])
