"""Looking at runs without touching them: `status`, `runs list|show|wait` (DESIGN 2.1, 2.2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from attractor.contracts import TERMINAL_EVENTS, USAGE_COST, USAGE_TOKENS, EventName
from attractor.errors import RunDirectoryError
from attractor.human import answer_command
from attractor.rundir import (
    Event,
    Final,
    Layout,
    Manifest,
    OpenQuestion,
    Owner,
    is_held,
    last_event,
    load_checkpoint,
    open_questions,
    owned_branches,
    read_final,
    read_manifest,
    read_owner,
    runs_home,
)


class RunStatus(StrEnum):
    """Where a run stands. `crashed`: no final.json, and no engine process holds it."""

    RUNNING = "running"
    SUCCESS = "success"
    FAIL = "fail"
    CANCELED = "canceled"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class RunView:
    """One run, as seen from outside."""

    manifest: Manifest
    layout: Layout
    status: RunStatus
    owner: Owner | None
    final: Final | None
    newest: Event | None

    @property
    def advice(self) -> str:
        """The command that would move things on; '' where none is called for."""
        if self.manifest.branch_of:
            return view_run(Path(self.manifest.branch_of)).advice
        if self.status in (RunStatus.CRASHED, RunStatus.FAIL, RunStatus.CANCELED):
            return f"attractor resume --logs-root {self.layout.root}"
        return ""

    @property
    def spent(self) -> tuple[int, float] | None:
        """Tokens and US dollars: the final sums, before the end those up to the last finished node; None unknown."""
        if self.final is not None:
            return self.final.total_tokens, self.final.cost_usd
        try:
            context = load_checkpoint(newest_root(self.layout)).context
        except (RunDirectoryError, OSError):
            return None
        return context.get(USAGE_TOKENS, 0), context.get(USAGE_COST, 0.0)

    @property
    def branches(self) -> list[dict[str, Any]]:
        """Branches and child pipelines that have begun and not ended, each with its newest event: what the run does
        while its own newest event is a fan-out's. Of a run that has ended there are none.
        """
        if self.final is not None and self.status is not RunStatus.RUNNING:
            return []
        found = []
        for owner, branch in owned_branches(newest_root(self.layout)):
            newest = last_event(branch.progress)
            if newest is None or branch.branch_result.exists() or newest["event"] in TERMINAL_EVENTS:
                continue
            name = str(branch.root.relative_to(self.layout.root)).replace(f"{owner.branches.name}/", "")
            found.append({"branch": name, "logs_root": str(branch.root), "last_event": newest})
        return found

    @property
    def questions(self) -> list[OpenQuestion]:
        """What a person may answer now: what the engine waits for, or, where none is at work, will ask again."""
        if self.status is RunStatus.SUCCESS:
            return []
        running = self.status is RunStatus.RUNNING
        return [question for question in open_questions(self.layout) if question.waiting or not running]

    def questions_json(self) -> list[dict[str, Any]]:
        """The open questions with the command that answers each."""
        return [
            {
                **one.question.to_json(),
                "asked_at": one.asked_at,
                "rejected": one.rejected,
                "answer_command": answer_command(self.layout, one.question),
            }
            for one in self.questions
        ]

    def to_json(self) -> dict[str, Any]:
        manifest, final = self.manifest, self.final
        tokens, cost = self.spent or (None, None)
        return {
            "run_id": manifest.run_id,
            "status": self.status.value,
            "logs_root": str(self.layout.root),
            "start_time": manifest.start_time,
            "graph": manifest.name,
            "goal": manifest.goal,
            "run_branch": manifest.run_branch,
            "worktree": manifest.worktree,
            "labels": manifest.labels,
            "pid": self.owner.pid if self.owner and self.status is RunStatus.RUNNING else None,
            "last_event": self.newest,
            "branches": self.branches,
            "failure_reason": final.failure_reason if final else "",
            "failure_class": final.failure_class if final else "",
            "total_tokens": tokens,
            "cost_usd": cost,
            "final_git_commit_sha": final.final_git_commit_sha if final else "",
            "cxdb_context_id": manifest.cxdb.context_id if manifest.cxdb else "",
            "resume_command": self.advice,
            "questions": self.questions_json(),
        }


def refuse_branch(manifest: Manifest) -> None:
    """Raise RunDirectoryError for the folder of a branch, or of a child pipeline: it has no life of its own, and what
    is done to it would be done to its run.
    """
    if manifest.branch_of:
        raise RunDirectoryError(
            f"{manifest.logs_root} is a part of the run in {manifest.branch_of}, not a run",
            hint=f"name the run: --logs-root {manifest.branch_of}",
        )


def _view_branch(layout: Layout, manifest: Manifest) -> RunView:
    """A branch, or a child pipeline: it has ended, or it is as its run is."""
    newest = last_event(layout.progress)
    owner = view_run(Path(manifest.branch_of))
    status = _ENDED.get(newest["event"]) if newest else None
    if status is None:
        status = owner.status if owner.status in (RunStatus.RUNNING, RunStatus.CRASHED) else RunStatus.CANCELED
    return RunView(manifest, layout, status, owner.owner, None, newest)


_ENDED = {
    EventName.RUN_COMPLETED.value: RunStatus.SUCCESS,
    EventName.RUN_FAILED.value: RunStatus.FAIL,
    EventName.RUN_CANCELED.value: RunStatus.CANCELED,
}


def view_run(logs_root: Path) -> RunView:
    """Raises RunDirectoryError where the folder is no run's."""
    layout = Layout(logs_root)
    manifest = read_manifest(layout)
    if manifest.branch_of:
        return _view_branch(layout, manifest)
    # Held before final: an engine that ends between the two looks finished, never crashed.
    held = is_held(layout)
    final = read_final(layout, manifest.run_id)
    if held:
        status = RunStatus.RUNNING
    elif final is not None:
        status = RunStatus(final.status)
    else:
        status = RunStatus.CRASHED
    return RunView(manifest, layout, status, read_owner(layout), final, last_event(layout.progress))


def newest_root(layout: Layout) -> Layout:
    """The logs root of the newest loop restart; the base itself where there was none."""
    count = 0
    while layout.restart(count + 1).checkpoint.exists():
        count += 1
    return layout.restart(count)


def checkpointed_commit(layout: Layout) -> str:
    """The commit of the last finished node; '' where no checkpoint can be read."""
    try:
        return load_checkpoint(newest_root(layout)).commit_sha
    except (RunDirectoryError, OSError):
        return ""


def remember_run(layout: Layout, run_id: str, environment: Mapping[str, str]) -> None:
    """Let `runs list` find a run that lives elsewhere. A home that cannot be written to only costs that."""
    home = runs_home(environment)
    if layout.root.parent == home:
        return
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        temporary = home / f".{run_id}.{os.getpid()}.tmp"
        temporary.symlink_to(layout.root)
        temporary.rename(home / f"{run_id}")


def known_runs(
    environment: Mapping[str, str], on_damage: Callable[[Path, str], None] = lambda place, why: None
) -> Iterator[RunView]:
    """All runs this user's state folder knows of, oldest first."""
    yield from runs_in(runs_home(environment), on_damage)


def runs_in(home: Path, on_damage: Callable[[Path, str], None] = lambda place, why: None) -> Iterator[RunView]:
    """The runs whose logs roots, or links to them, are in a folder, oldest first. What is no run is passed over; a run
    that cannot be read is told to `on_damage`, with why.
    """
    try:
        places = [entry for entry in home.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return
    views = []
    for place in places:
        root = Path(os.path.realpath(place))
        try:
            views.append(view_run(root))
        except (RunDirectoryError, OSError) as error:  # damaged, somebody else's, a link in a circle: only that one
            with suppress(OSError):
                if os.path.lexists(Layout(root).manifest):
                    on_damage(root, error.message if isinstance(error, RunDirectoryError) else str(error))
    yield from sorted(views, key=lambda view: (view.manifest.start_time, view.manifest.run_id))


def find_run(run_id: str, environment: Mapping[str, str]) -> RunView:
    """The run of that id among those known."""
    for view in known_runs(environment):
        if view.manifest.run_id == run_id:
            return view
    raise RunDirectoryError(
        f"no run {run_id!r} is known in {runs_home(environment)}",
        hint="`attractor runs list` shows those that are; others can be named with --logs-root",
    )


def latest_run(environment: Mapping[str, str]) -> RunView:
    """The run that was started last."""
    views = list(known_runs(environment))
    if not views:
        raise RunDirectoryError(f"no runs are known in {runs_home(environment)}")
    return views[-1]
