"""What a scenario expects of one run, judged on its evidence. Pure; one small function an expectation."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping, Sequence

from harness.audit import SUBJECT
from harness.evidence import CaseEvidence, RunEvidence
from harness.judging import compared, judged
from harness.matching import Matcher, first_missing
from harness.results import CheckResult
from harness.scenario import Expectation

__all__ = ["judge_run"]


def judge_run(expect: Expectation, run: RunEvidence, case: CaseEvidence) -> list[CheckResult]:
    """Only what the scenario speaks of; names carry the run's name unless it is the only one."""
    results: list[CheckResult] = []
    for part in _PARTS:
        results += part(expect, run)
    results += _about_repository(expect, run, case)
    return results + _about_branches(expect, run)


def _about_branches(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    """The same questions, of branches of fan-outs; `final` speaks of branch_result.json there."""
    found = {branch.name: branch for branch in run.all_branches()}
    results = []
    for name, wanted in expect.parallel.items():
        branch = found.get(name)
        if branch is None:
            there = f"there are: {', '.join(found) or 'none'}"
            results.append(judged(f"branch {name}", [there], "there is such a branch"))
            continue
        told = [result for part in _PARTS for result in part(wanted, branch)]
        results += [dataclasses.replace(result, name=f"{name}: {_of_branch(result.name)}") for result in told]
    return results


def _of_branch(check: str) -> str:
    return check.replace("final.json", "branch_result.json")


def _final(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    if expect.no_final:
        found = ["final.json is there"] if run.final is not None else []
        return [judged("final.json", found, "no final.json")]
    if not expect.final:
        return []
    final = run.final
    if final is None or final.value is None:
        why = final.unreadable if final is not None else "there is no final.json"
        return [judged("final.json", [why], "a readable final.json")]
    value = final.value
    return [
        judged(
            f"final.json {field}",
            [] if matcher.holds(value.get(field)) else [repr(value.get(field))],
            str(matcher),
        )
        for field, matcher in expect.final.items()
    ]


def _events(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    results = []
    if expect.events:
        missing = first_missing(expect.events, run.log.events)
        order = " > ".join(map(str, expect.events))
        found = [f"no {missing} in its place\nevents: {timeline(run)}"] if missing is not None else []
        results.append(judged("events in order", found, order))
    for pattern in expect.event_counts:
        count = pattern.matching(run.log.events)
        found = [] if pattern.count is None or pattern.count.holds(count) else [f"{count} of them\n{timeline(run)}"]
        results.append(judged(f"count of {pattern}", found, str(pattern.count)))
    for pattern in expect.absent_events:
        count = pattern.matching(run.log.events)
        found = [f"{count} of them\n{timeline(run)}"] if count else []
        results.append(judged(f"no event {pattern}", found, "none"))
    return results


def timeline(run: RunEvidence) -> str:
    """The run in one line, for a person."""
    words = []
    for event in run.log.events:
        node = event.get("node_id") or event.get("to") or event.get("after_node") or ""
        status = event.get("status", "")
        words.append(" ".join(str(word) for word in (event.get("event"), node, status) if word))
    shown = words if len(words) <= 40 else [*words[:20], "...", *words[-20:]]
    return ", ".join(shown) or "none"


def _files(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    results = []
    for pattern in expect.files:
        found = fnmatch.filter(run.files, pattern)
        results.append(judged(f"file {pattern}", [] if found else ["not there"], "there"))
    for pattern in expect.absent_files:
        found = [name for name in run.files if fnmatch.fnmatch(name, pattern) or name.startswith(pattern + "/")]
        results.append(judged(f"no file {pattern}", found, "not there"))
    return results


def _texts(kind: str, expected: Mapping[str, Matcher], found: Mapping[str, str | None]) -> list[CheckResult]:
    results = []
    for path, matcher in expected.items():
        text = found.get(path)
        if text is None:
            problems = [] if matcher.holds(None) else [f"{path} is not there"]
        else:
            problems = [] if matcher.holds(text) else [repr(text[-600:])]
        results.append(judged(f"{kind} {path}", problems, str(matcher)))
    return results


def _contents(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    return _texts("content of", expect.contents, run.contents)


def _tree(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    return _texts("committed", expect.tree, run.tree)


def _commits(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    if expect.commits is None:
        return []
    matches = [SUBJECT.match(commit.subject) for commit in run.commits]
    found = [f"{m['node']} ({m['status']})" if m else c.subject for m, c in zip(matches, run.commits, strict=True)]
    return [compared("commits", list(expect.commits), found)]


def _completed_nodes(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    if expect.completed_nodes is None:
        return []
    current = run.checkpoints.get(run.current_root)
    value = current.value if current is not None else None
    found = list(value.get("completed_nodes") or []) if value is not None else None
    return [compared("completed_nodes of the checkpoint in force", list(expect.completed_nodes), found)]


def _turns(expect: Expectation, run: RunEvidence) -> list[CheckResult]:
    if not expect.turns:
        return []
    types = [turn.turn_type.removeprefix(run.turn_prefix) for turn in run.turns.turns]
    missing = _first_missing_word(expect.turns, types)
    found = [f"no {missing} in its place; turns: {', '.join(types) or 'none'}"] if missing else []
    return [judged("CXDB turns in order", found, " > ".join(expect.turns))]


def _first_missing_word(wanted: Sequence[str], found: Sequence[str]) -> str | None:
    remaining = iter(found)
    return next((word for word in wanted if word not in remaining), None)


def _about_repository(expect: Expectation, run: RunEvidence, case: CaseEvidence) -> list[CheckResult]:
    results = []
    new = [branch for branch in case.branches_after if branch not in case.branches_before]
    if expect.branches is not None:
        results.append(compared("new branches", sorted(expect.branches), sorted(new)))
    if expect.nothing_made:
        problems = [f"logs root was made: {run.logs_root}"] if run.exists else []
        problems += [f"new branch {branch}" for branch in new]
        problems += [f"new worktree {worktree}" for worktree in case.worktrees]
        results.append(judged("nothing made", problems, "no logs root, branch or worktree"))
    return results


_PARTS: Sequence[Callable[[Expectation, RunEvidence], list[CheckResult]]] = (
    _final,
    _events,
    _files,
    _contents,
    _tree,
    _commits,
    _completed_nodes,
    _turns,
)


def judge_scratch(expect: Expectation, case: CaseEvidence) -> list[CheckResult]:
    return _texts("scratch file", expect.scratch, case.scratch)
