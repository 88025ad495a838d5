"""The table of saboteurs, and how one is let into an engine's processes.

A directory put in front of PYTHONPATH holds a sitecustomize.py, which every Python process of the case
imports at its start, detached children included. It patches the named function when the engine imports
the module. Each patch that is in place, and each call of it, leaves a line in a mark file: a saboteur
that never came to work has proven nothing.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from harness.toml_table import did_you_mean

__all__ = ["SABOTEURS", "Saboteur", "named_saboteur", "read_mark", "sabotage_environment"]

SITE = Path(__file__).parent / "site"
MARK_FILE = "saboteur.mark"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    name: str
    guardrail: str  # whose cases must turn red
    bug: str  # what once went wrong, in one line
    killer: str  # the one case that must catch it; the short form runs only this


SABOTEURS: tuple[Saboteur, ...] = (
    Saboteur(
        name="no-new-session",
        guardrail="detach",
        bug="the detached engine stays in its launcher's session and dies with it",
        killer="detach/launcher_killed",
    ),
    Saboteur(
        name="no-lock",
        guardrail="detach",
        bug="a second engine takes over a run that another one is working on",
        killer="detach/same_run_id_twice",
    ),
    Saboteur(
        name="restart-on-any-class",
        guardrail="deterministic-failure",
        bug="loop_restart is taken whatever the failure's class, so a run that cannot succeed runs again",
        killer="deterministic-failure/blocks_loop_restart",
    ),
    Saboteur(
        name="deterministic-retried",
        guardrail="deterministic-failure",
        bug="a failure that cannot change is retried until the attempts are used up",
        killer="deterministic-failure/not_retried",
    ),
    Saboteur(
        name="no-final-json",
        guardrail="deterministic-failure",
        bug="a fatal exit leaves no final.json, and watchers wait for ever",
        killer="deterministic-failure/ends_the_run",
    ),
    Saboteur(
        name="breaker-off",
        guardrail="transient-timeout",
        bug="the same failure restarts the run again and again",
        killer="transient-timeout/circuit_breaker",
    ),
    Saboteur(
        name="parent-only-killed",
        guardrail="transient-timeout",
        bug="a timeout ends the stage's shell, and what it started goes on",
        killer="transient-timeout/ignores_sigterm",
    ),
    Saboteur(
        name="torn-checkpoint",
        guardrail="resume",
        bug="the checkpoint is written in place, so a crash in the middle of it loses the run",
        killer="resume/killed_between_stages",
    ),
    Saboteur(
        name="last-node-again",
        guardrail="resume",
        bug="resume runs the last finished node once more",
        killer="resume/killed_in_stage",
    ),
    Saboteur(
        name="leftovers-live-on",
        guardrail="resume",
        bug="what outlived the crash goes on writing while the resumed run works",
        killer="resume/killed_in_stage",
    ),
    Saboteur(
        name="prefix-lost-at-resume",
        guardrail="resume",
        bug="resume forgets the configured branch prefix",
        killer="resume/own_branch_prefix",
    ),
    Saboteur(
        name="cxdb-optional",
        guardrail="cxdb",
        bug="a CXDB that cannot be reached is passed over in silence, and the run leaves no history",
        killer="cxdb/unreachable_at_start",
    ),
    Saboteur(
        name="exit-code-only",
        guardrail="agents",
        bug="an agent's exit code 0 counts as success, whatever its stream says or leaves out",
        killer="agents/no_result",
    ),
    Saboteur(
        name="no-model-check",
        guardrail="agents",
        bug="models are not looked up before the run, and a misspelt one is found out when its stage comes",
        killer="agents/unknown_model",
    ),
    Saboteur(
        name="relative-state-root",
        guardrail="agents",
        bug="an agent's state root is relative, and means another folder in another working directory",
        killer="agents/state_roots",
    ),
    Saboteur(
        name="auth-is-transient",
        guardrail="agents",
        bug="every failure of a provider is taken for a passing one, expired credentials too",
        killer="agents/auth_expired",
    ),
    Saboteur(
        name="high-demand-missed",
        guardrail="agents",
        bug="codex tells HTTP 500 without a number or a known word, and it is taken for a failure that stays",
        killer="agents/high_demand",
    ),
    Saboteur(
        name="output-is-progress",
        guardrail="agents",
        bug="an agent that prints is never taken for stalled, and one that waits for the network prints for ever",
        killer="agents/talks_without_progress",
    ),
    Saboteur(
        name="killed-is-done",
        guardrail="agents",
        bug="an agent that was killed in the middle of its work counts as done",
        killer="agents/killed_at_work",
    ),
    Saboteur(
        name="reset-unheard",
        guardrail="agents",
        bug="a quota that says when it is refilled is asked again at once, until the attempts are used up",
        killer="agents/quota_for_hours",
    ),
    Saboteur(
        name="no-failover",
        guardrail="agents",
        bug="a stage fails with its provider, although the configuration names another one",
        killer="agents/failover",
    ),
    Saboteur(
        name="same-model-again",
        guardrail="agents",
        bug="a task that was too large for its model is tried again on the same model",
        killer="agents/escalation",
    ),
    Saboteur(
        name="spending-unlimited",
        guardrail="agents",
        bug="what a run has used is added up, and nobody looks at the sum",
        killer="agents/spend_limit",
    ),
    Saboteur(
        name="spends-on-retries",
        guardrail="agents",
        bug="the sum is looked at between nodes only, so a run that has spent too much goes on with retries",
        killer="agents/spend_limit_midway",
    ),
    Saboteur(
        name="every-session-new",
        guardrail="agents",
        bug="full fidelity is taken for a long summary, and what an agent was told before is lost",
        killer="agents/same_session",
    ),
    Saboteur(
        name="one-mistake-at-a-time",
        guardrail="agents",
        bug="the first mistake found ends the look for others, so the run is started once for each",
        killer="agents/preflight_mistakes",
    ),
    Saboteur(
        name="works-in-the-checkout",
        guardrail="agents",
        bug="agents work in the user's checkout",
        killer="agents/leaves_worktree",
    ),
    Saboteur(
        name="git-by-its-file",
        guardrail="agents",
        bug="the run's git is found by the worktree's .git file, which is an agent's to delete",
        killer="agents/deletes_git",
    ),
    Saboteur(
        name="strays-stay",
        guardrail="agents",
        bug="what an agent leaves running in a session of its own writes into the next stage",
        killer="agents/background_process",
    ),
    Saboteur(
        name="only-the-beginning-read",
        guardrail="agents",
        bug="only the beginning of an agent's output is read, and its last line, which decides, is lost",
        killer="agents/flood",
    ),
    Saboteur(
        name="text-only",
        guardrail="agents",
        bug="bytes that are no text break the stage whose agent prints them",
        killer="agents/garbage",
    ),
    Saboteur(
        name="words-anywhere",
        guardrail="agents",
        bug="what an agent's tool prints is searched for failures, so a test's output ends the stage",
        killer="agents/tool_prints_garbage",
    ),
    Saboteur(
        name="parallel-prefix-lost",
        guardrail="parallel",
        bug="names of parallel branches are put together without the configured prefix",
        killer="parallel/prefix_in_fan_outs",
    ),
    Saboteur(
        name="prefix-lost-in-resumed-fan-outs",
        guardrail="parallel",
        bug="branches that a resumed engine begins are filed under the default prefix",
        killer="parallel/prefix_after_resume",
    ),
    Saboteur(
        name="pass-is-the-visit",
        guardrail="parallel",
        bug="behind a loop restart a fan-out's visits are counted anew, and its branches take names that are taken",
        killer="parallel/prefix_after_restart",
    ),
    Saboteur(
        name="finished-branches-again",
        guardrail="parallel",
        bug="a resumed fan-out starts all its branches again, the finished ones too",
        killer="parallel/killed_in_branches",
    ),
    Saboteur(
        name="losers-run-on",
        guardrail="parallel",
        bug="the first success decides, and the branches that have lost are left running",
        killer="parallel/first_success",
    ),
    Saboteur(
        name="last-branch-decides",
        guardrail="parallel",
        bug="where all branches fail, the class of the one that comes last speaks for all",
        killer="parallel/all_fail_mixed",
    ),
    Saboteur(
        name="rule-overrules-agent",
        guardrail="parallel",
        bug="the branch that an agent has chosen is overruled by the rule, and nobody is told",
        killer="parallel/agent_chooses",
    ),
    Saboteur(
        name="any-choice-goes",
        guardrail="parallel",
        bug="an agent that chooses no branch that succeeded is given the best one, as if it had chosen",
        killer="parallel/agent_chooses_wrongly",
    ),
    Saboteur(
        name="waits-for-cxdb",
        guardrail="parallel",
        bug="each step of a branch waits until CXDB has stored it, and one that stands still holds up all of them",
        killer="parallel/cxdb_outage",
    ),
    Saboteur(
        name="outage-for-good",
        guardrail="parallel",
        bug="a branch that has lost CXDB never looks for it again, and its history stays behind",
        killer="parallel/cxdb_outage",
    ),
    Saboteur(
        name="child-failure-unseen",
        guardrail="managers",
        bug="a child pipeline that has failed is done, and the run goes on with its half-done work",
        killer="managers/child_stage_fails",
    ),
    Saboteur(
        name="child-failure-passes",
        guardrail="managers",
        bug="every failure of a child is taken for a passing one, and a broken graph is run again and again",
        killer="managers/child_graph_broken",
    ),
    Saboteur(
        name="child-from-its-start",
        guardrail="managers",
        bug="a resumed manager begins its child pipeline again from its start",
        killer="managers/killed_with_child",
    ),
    Saboteur(
        name="attempts-share-a-child",
        guardrail="managers",
        bug="a manager that is tried again finds the child that has failed, and has nothing else to try",
        killer="managers/killed_between_attempts",
    ),
    Saboteur(
        name="given-up-child-runs-on",
        guardrail="managers",
        bug="a child pipeline that is given up is left running",
        killer="managers/child_stalls",
    ),
    Saboteur(
        name="given-up-work-lost",
        guardrail="managers",
        bug="what a child has finished is lost when the stop condition ends it",
        killer="managers/stop_condition",
    ),
    Saboteur(
        name="steering-unread",
        guardrail="managers",
        bug="instructions for a stalled child are written where no prompt takes them up",
        killer="managers/steered",
    ),
    Saboteur(
        name="first-choice-by-itself",
        guardrail="human-gates",
        bug="a gate that nobody answers takes its first choice",
        killer="human-gates/unanswered",
    ),
    Saboteur(
        name="last-answer-wins",
        guardrail="human-gates",
        bug="a second answer overrules the first unseen",
        killer="human-gates/answered_twice",
    ),
    Saboteur(
        name="answers-forgotten",
        guardrail="human-gates",
        bug="a resumed run asks anew, and the answer given before is lost",
        killer="human-gates/killed_while_waiting",
    ),
    Saboteur(
        name="default-is-the-first",
        guardrail="human-gates",
        bug="a gate that nobody answers takes its first choice instead of the one its graph has declared",
        killer="human-gates/unanswered_default",
    ),
    Saboteur(
        name="looks-once",
        guardrail="human-gates",
        bug="answers are looked for when a question is asked, and never again",
        killer="human-gates/answered_late",
    ),
    Saboteur(
        name="any-word-is-an-answer",
        guardrail="human-gates",
        bug="an answer that is none of the choices is taken, and fails the gate for good",
        killer="human-gates/answered_wrongly",
    ),
    Saboteur(
        name="stop-is-an-answer",
        guardrail="human-gates",
        bug="a run that is stopped while it waits takes the default for an answer",
        killer="human-gates/stopped_while_waiting",
    ),
    Saboteur(
        name="relative-root",
        guardrail="paths",
        bug="a relative logs root is kept as given, and means another place once the directory changes",
        killer="paths/relative_paths",
    ),
    Saboteur(
        name="run-id-unchecked",
        guardrail="paths",
        bug="a run id that git or the file system cannot bear is only found out in the middle",
        killer="paths/hostile_run_ids",
    ),
)


def named_saboteur(name: str) -> Saboteur:
    """Raises KeyError with a suggestion."""
    known = {saboteur.name: saboteur for saboteur in SABOTEURS}
    if name not in known:
        raise KeyError(f"no saboteur {name!r}; {did_you_mean(name, known)}")
    return known[name]


def sabotage_environment(name: str, case_dir: Path, base: Mapping[str, str]) -> dict[str, str]:
    """What the engine's environment needs for the saboteur to work; `base` is what it has so far."""
    saboteur = named_saboteur(name)
    mark = case_dir / MARK_FILE
    mark.unlink(missing_ok=True)
    paths = [str(SITE), *filter(None, [base.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "HARNESS_SABOTEUR": saboteur.name,
        "HARNESS_SABOTEUR_MARK": str(mark),
    }


def read_mark(case_dir: Path) -> tuple[str, ...]:
    """What the saboteur noted: one line for each patch put in place, and for each first call of one."""
    try:
        return tuple((case_dir / MARK_FILE).read_text(encoding="utf-8").split("\n")[:-1])
    except FileNotFoundError:
        return ()
