"""Agent nodes: a prompt for a coding agent in the run's worktree (spec 4.5).

An attempt runs one agent program, and further ones where the provider is down and the configuration names others.
The program's own ending is judged first (`backends.judge`); only a good one lets its status file speak. What the
attempt leaves: `prompt.md response.md cli_invocation.json stdout.log stderr.log events.ndjson status.json`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from attractor.backends import (
    PROFILES,
    AgentEvent,
    AgentRequest,
    Judgement,
    ModelCatalog,
    Usage,
    cost_usd,
)
from attractor.contracts import (
    USAGE_COST,
    USAGE_TOKENS,
    AgentSettings,
    EventName,
    FailureClass,
    Outcome,
    Spend,
    StageRun,
    Status,
)
from attractor.handlers.agent_program import AgentProgram, ProgramEnd, Watchers
from attractor.handlers.agent_record import AgentRecord
from attractor.handlers.agent_sessions import AgentSession, Threads, fidelity_of
from attractor.handlers.models import (
    FAILOVER_AT_LAST,
    FAILOVER_AT_ONCE,
    ModelChoice,
    escalation_models,
    executable_of,
    failover_models,
    primary_model,
    provider_settings,
)
from attractor.handlers.prompt import build_prompt
from attractor.handlers.status_file import parse_status, read_status_file
from attractor.handlers.tool_hooks import ToolHooks
from attractor.processes import DEFAULT_GRACE_SECONDS, EndedBy, Limits

MAX_WATCH_SECONDS = 1.0
LAST_RESPONSE_CHARACTERS = 200  # spec 4.5
PROMPT_EVENT_CHARACTERS = 8_000
STATUS_NAME = "status.json"
_ESCALATING = frozenset({FailureClass.BUDGET_EXHAUSTED, FailureClass.COMPILATION_LOOP})


@dataclass(slots=True)
class CodergenHandler:
    """Runs agent nodes of one run. Remembers over attempts what was spent and how far a node has escalated."""

    settings: AgentSettings
    catalog: ModelCatalog | None
    home: Path
    now: Callable[[], datetime]
    spend: Spend
    _spent: dict[str, Any] | None = None
    _escalated: dict[str, int] = field(default_factory=dict)
    _threads: Threads = field(default_factory=Threads)

    def execute(self, stage: StageRun) -> Outcome:
        spent = self._spent_so_far(stage)
        primary = primary_model(stage.node, self.settings)
        choices = [self._choice(stage), *failover_models(primary.provider, self.settings)]
        before = _read_worktree_status(stage.worktree)
        for number, choice in enumerate(choices):
            session = self._threads.find(stage)
            if session is not None and session.provider != choice.provider:
                session = None
            run = _AgentRun(self, stage, choice, session)
            end = run.go()
            judgement = end.judgement
            self._charge(spent, choice, run.usage)
            if judgement.ok:
                paths = PROFILES[choice.provider].session_paths
                self._threads.keep(stage, choice.provider, run.reader.session_id, run.reader.usage, paths)
            elif session is not None:
                self._threads.drop(session)
            following = choices[number + 1] if number + 1 < len(choices) else None
            if following is None or not _goes_over(judgement, stage) or self.spend.over(self.settings.limits):
                break
            _shelve(stage.stage_dir, f"failover-{number + 1}")
            stage.emit(
                EventName.AGENT_FAILOVER,
                node_id=stage.node.id,
                from_provider=choice.provider,
                to_provider=following.provider,
                to_model=following.model,
                reason=judgement.reason,
            )
        outcome = self._outcome(stage, end, before)
        self._note_escalation(stage, outcome)
        updates = {
            "last_stage": stage.node.id,
            "last_response": run.reader.final_text[:LAST_RESPONSE_CHARACTERS],
            **spent,
        }
        return replace(outcome, context_updates={**updates, **outcome.context_updates})

    # --- which model -------------------------------------------------------------------------------------

    def _choice(self, stage: StageRun) -> ModelChoice:
        """The node's own model, or the stronger one its last budget failure has brought it to."""
        ladder = [primary_model(stage.node, self.settings), *escalation_models(stage.node)]
        level = min(self._escalated.get(stage.node.id, 0), len(ladder) - 1) if stage.attempt > 1 else 0
        choice = ladder[level]
        if level:
            stage.emit(
                EventName.AGENT_ESCALATION,
                node_id=stage.node.id,
                attempt=stage.attempt,
                provider=choice.provider,
                model=choice.model,
            )
        return choice

    def _note_escalation(self, stage: StageRun, outcome: Outcome) -> None:
        if outcome.failure_class in _ESCALATING:
            self._escalated[stage.node.id] = self._escalated.get(stage.node.id, 0) + 1
        elif outcome.status.is_success:
            self._escalated.pop(stage.node.id, None)

    # --- what it costs -----------------------------------------------------------------------------------

    def _spent_so_far(self, stage: StageRun) -> dict[str, Any]:
        """The sums of this loop's context, with those of the stage's earlier attempts, which are not in there yet."""
        known, own = stage.context, self._spent or {}
        self._spent = {
            USAGE_TOKENS: max(known.get(USAGE_TOKENS, 0), own.get(USAGE_TOKENS, 0)),
            USAGE_COST: max(known.get(USAGE_COST, 0.0), own.get(USAGE_COST, 0.0)),
        }
        return self._spent

    def overspent(self, choice: ModelChoice, usage: Usage) -> str:
        """Why the run has spent too much, with a program that has used so much until now."""
        return self.spend.over(self.settings.limits, usage.total_tokens, self._cost(choice, usage))

    def _charge(self, spent: dict[str, Any], choice: ModelChoice, usage: Usage) -> None:
        cost = self._cost(choice, usage)
        self.spend.add(usage.total_tokens, cost)
        spent[USAGE_TOKENS] += usage.total_tokens
        spent[USAGE_COST] = round(spent[USAGE_COST] + cost, 6)

    def _cost(self, choice: ModelChoice, usage: Usage) -> float:
        if usage.cost_usd is not None:
            return usage.cost_usd
        price = self.catalog.price(choice.provider, choice.model) if self.catalog else None
        return cost_usd(usage, price) if price else 0.0

    # --- what came of it ---------------------------------------------------------------------------------

    def _outcome(self, stage: StageRun, end: ProgramEnd, before: bytes | None) -> Outcome:
        judgement = end.judgement
        told = read_status_file(stage.stage_dir / STATUS_NAME) or _take_worktree_status(stage.worktree, before)
        if end.ended_by is EndedBy.STOP:
            return Outcome(Status.FAIL, failure_reason=stage.stop.reason, failure_class=FailureClass.CANCELED)
        if end.overspent:
            return Outcome(Status.FAIL, failure_reason=end.overspent, failure_class=FailureClass.BUDGET_EXHAUSTED)
        if not judgement.ok:
            return Outcome(
                Status.FAIL,
                failure_reason=judgement.reason,
                failure_class=judgement.failure_class,
                retry_after_seconds=judgement.retry_after_seconds,
            )
        if told is not None:
            return told
        if stage.node.auto_status:
            return Outcome(Status.SUCCESS, notes="auto-status: handler completed without writing status")
        return Outcome(
            Status.FAIL,
            failure_reason=f"the agent ended without a status file: neither {stage.stage_dir / STATUS_NAME} nor "
            f"{STATUS_NAME} in the worktree was written (auto_status=true accepts that)",
            failure_class=FailureClass.DETERMINISTIC,
        )


class _AgentRun:
    """One agent program of a stage, with the stage's prompt, limits and watchers."""

    def __init__(
        self, handler: CodergenHandler, stage: StageRun, choice: ModelChoice, session: AgentSession | None
    ) -> None:
        self._handler = handler
        self._stage = stage
        self._choice = choice
        self._session = session
        self._program = AgentProgram(
            PROFILES[choice.provider], self._request(), stage.environment, handler.home, handler.now, session
        )
        self.reader = self._program.reader
        self._started = time.monotonic()
        self._record = AgentRecord(stage.emit, stage.node.id, stage.attempt, choice.model)

    @property
    def usage(self) -> Usage:
        """What this start has used so far."""
        if self._session is None or not PROFILES[self._choice.provider].counts_session:
            return self.reader.usage
        return self.reader.usage.since(self._session.usage)

    def go(self) -> ProgramEnd:
        stage, settings = self._stage, self._handler.settings
        grace = stage.graph.duration_seconds("stop_grace", DEFAULT_GRACE_SECONDS)
        limits = Limits(
            timeout_seconds=stage.timeout_seconds,
            grace_seconds=stage.node.duration_seconds("stop_grace", grace) or 0.0,
            watch_seconds=min(MAX_WATCH_SECONDS, settings.stall_check_seconds),
        )
        try:
            return self._program.run(limits, stage.stop, self._watchers)
        finally:
            self._record.finish()

    def _request(self) -> AgentRequest:
        stage, settings = self._stage, self._handler.settings
        fidelity = fidelity_of(stage)
        session_id = self._session.session_id if self._session else ""
        prompt = build_prompt(stage, "truncate" if session_id else fidelity, str(stage.stage_dir / STATUS_NAME))
        (stage.stage_dir / "prompt.md").write_text(prompt, encoding="utf-8")
        stage.emit(
            EventName.AGENT_STARTED,
            node_id=stage.node.id,
            attempt=stage.attempt,
            provider=self._choice.provider,
            model=self._choice.model,
            fidelity=fidelity,
            continues=session_id or None,
            prompt=prompt[:PROMPT_EVENT_CHARACTERS],
        )
        return AgentRequest(
            prompt=prompt,
            model=self._choice.model,
            worktree=stage.worktree,
            stage_dir=stage.stage_dir,
            executable=executable_of(self._choice.provider, settings),
            reasoning_effort=stage.node.text("reasoning_effort"),
            base_url=provider_settings(self._choice.provider, settings).base_url,
            session_id=session_id,
        )

    def _watchers(self, environment: Mapping[str, str]) -> Watchers:
        stage = self._stage
        hooks = ToolHooks(stage, environment)

        def saw(event: AgentEvent) -> None:
            self._record.saw(event)
            hooks.saw(event)

        return Watchers(
            stall_seconds=self._handler.settings.stall_timeout_seconds,
            tell=self._tell,
            spent_too_much=self._spent_too_much,
            saw=saw,
            heartbeat=stage.heartbeat,
            leader_note=stage.leader_note,
        )

    def _tell(self, event: AgentEvent, progress: int) -> None:
        self._stage.emit(
            EventName.STAGE_HEARTBEAT,
            node_id=self._stage.node.id,
            attempt=self._stage.attempt,
            elapsed_ms=round((time.monotonic() - self._started) * 1000),
            activity=event.kind,
            tool=event.tool or None,
            text=event.text[:200] or None,
            progress=progress,
        )

    def _spent_too_much(self) -> str:
        return (
            self._handler.overspent(self._choice, self.usage)
            or self._stage_limit("max_tokens", self.usage.total_tokens, "tokens were used")
            or self._stage_limit("max_agent_turns", self._record.tool_calls, "tool calls were made")
        )

    def _stage_limit(self, key: str, count: int, what: str) -> str:
        stage = self._stage
        limit = stage.node.integer(key, stage.graph.integer(key))
        return f"{count} {what}; {key} of node {stage.node.id} is {limit}" if 0 < limit < count else ""


def _goes_over(judgement: Judgement, stage: StageRun) -> bool:
    """Whether this failure is the next provider's chance."""
    if judgement.ok or stage.stop.requested:
        return False
    if judgement.kind in FAILOVER_AT_ONCE:
        return True
    return judgement.kind in FAILOVER_AT_LAST and stage.attempt >= stage.max_attempts


def _shelve(stage_dir: Path, name: str) -> None:
    """Put aside what one provider's program left, for the next one to begin with an empty folder."""
    place = stage_dir / name
    place.mkdir(mode=0o700)
    for entry in list(stage_dir.iterdir()):
        if entry.name not in (name, "attempts") and not entry.name.startswith("failover-"):
            entry.rename(place / entry.name)


def _read_worktree_status(worktree: Path) -> bytes | None:
    """The repository's own status.json, if it has one: not every file of that name is a message to us."""
    path = worktree / STATUS_NAME
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _take_worktree_status(worktree: Path, before: bytes | None) -> Outcome | None:
    """What the agent reported in the worktree; the file is taken away again, or put back as it was."""
    path = worktree / STATUS_NAME
    outcome = read_status_file(path)
    if outcome is None:
        return None
    now = _read_worktree_status(worktree)
    if now is not None and now == before:
        return None
    if now is not None:
        outcome = parse_status(now, path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if before is not None:
        path.write_bytes(before)
    return outcome
