"""Prompt probes: one short question to every model of a run, before its first node (`preflight.prompt_probes`).

What no look at the machine can tell: whether the key is valid, the account in credit, the model open to it. A probe
runs the agent program as a stage would (`handlers.AgentProgram`), in an empty folder, and what it printed is kept in
`preflight.d/<number>-<provider>/<attempt>/`. Probes come last, and only where every other check has passed: they
are the only ones that cost money.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from attractor.backends import PROFILES, AgentRequest, Judgement
from attractor.contracts import AgentSettings, FailureClass, ProbePolicy, Stop
from attractor.handlers import AgentProgram, ModelChoice, Watchers, executable_of, provider_settings
from attractor.processes import STAGE_TOKEN_VARIABLE, Limits

QUESTION: Final = "Reply with the single word OK. Use no tools; read and write no files."
MAX_AT_ONCE: Final = 4
GRACE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of probing one model. `folder`: the records of its last attempt."""

    choice: ModelChoice
    judgement: Judgement
    attempts: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Prober:
    """Asks models. `folder` is its own; `home` is where the user's credential files are."""

    settings: AgentSettings
    policy: ProbePolicy
    environment: Mapping[str, str]
    home: Path
    folder: Path
    stop: Stop

    def ask(self, choices: list[ModelChoice]) -> list[Answer]:
        """One answer a model, in their order, `MAX_AT_ONCE` at a time. OSError where the folder cannot be made."""
        shutil.rmtree(self.folder, ignore_errors=True)  # of a run that did not begin
        self.folder.mkdir(mode=0o700)
        with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
            return list(pool.map(self._ask, range(1, len(choices) + 1), choices))

    def _ask(self, number: int, choice: ModelChoice) -> Answer:
        folder = self.folder / f"{number:02}-{choice.provider}"
        folder.mkdir(mode=0o700)
        attempt = 1
        while True:
            place = folder / str(attempt)
            place.mkdir(mode=0o700)
            try:
                judgement = self._run(choice, place)
            except OSError as error:
                reason = f"it could not be started: {error.strerror or error}"
                judgement = Judgement(False, None, FailureClass.DETERMINISTIC, reason)
            transient = judgement.failure_class is FailureClass.TRANSIENT_INFRA
            if judgement.ok or not transient or attempt > self.policy.retries:
                return Answer(choice, judgement, attempt, place)
            if self.stop.wait(self.policy.delay_seconds(attempt, judgement.retry_after_seconds)):
                return Answer(choice, judgement, attempt, place)
            attempt += 1

    def _run(self, choice: ModelChoice, place: Path) -> Judgement:
        worktree = place / "worktree"
        worktree.mkdir(mode=0o700)
        (place / "prompt.md").write_text(QUESTION, encoding="utf-8")
        request = AgentRequest(
            prompt=QUESTION,
            model=choice.model,
            worktree=worktree,
            stage_dir=place,
            executable=executable_of(choice.provider, self.settings),
            base_url=provider_settings(choice.provider, self.settings).base_url,
        )
        environment = {**self.environment, STAGE_TOKEN_VARIABLE: f"probe-{secrets.token_hex(8)}"}
        program = AgentProgram(PROFILES[choice.provider], request, environment, self.home, _now)
        limits = Limits(timeout_seconds=self.policy.timeout_seconds, grace_seconds=GRACE_SECONDS)
        return program.run(limits, self.stop, lambda environment: Watchers()).judgement


def _now() -> datetime:
    return datetime.now().astimezone()
