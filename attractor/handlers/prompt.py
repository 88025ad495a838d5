"""The text an agent is given: what went before, the task, and how to report back (spec 4.5, 5.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attractor.contracts import StageRun
from attractor.graph import DEFAULT_FIDELITY

# mode -> (stages shown, context values shown, characters of a value); spec 5.4's budgets, at four characters a token.
_CARRIED: Final[dict[str, tuple[int, int, int]]] = {
    "truncate": (0, 0, 0),
    "compact": (20, 20, 200),
    "summary:low": (5, 5, 120),
    "summary:medium": (15, 15, 250),
    "summary:high": (40, 40, 400),
    # A session that begins: there is no conversation to go on with yet, or, behind a resume, no more (spec 5.3, 6).
    "full": (40, 40, 400),
}
# Bookkeeping of the engine, and what the preamble says in its own words.
_HIDDEN_PREFIXES: Final = ("internal.", "graph.", "usage.")
_HIDDEN_KEYS: Final = frozenset(
    {"outcome", "preferred_label", "failure_reason", "failure_class", "current_node", "last_stage"}
)

STATUS_CONTRACT: Final = """\
When you are done, write your result as JSON to the file {status_file} (or to status.json in the working directory):
{{"outcome": "success" | "partial_success" | "retry" | "fail", "notes": "what you did",
"failure_reason": "if it failed", "preferred_label": "", "suggested_next_ids": [], "context_updates": {{}}}}
Only "outcome" is required. Report "fail" honestly when the task is not done."""


def build_prompt(stage: StageRun, fidelity: str, status_file: str) -> str:
    """Preamble, task and status contract, as one text. `fidelity`: one of the modes; `truncate` too where a session
    goes on, which knows what went before.
    """
    task = stage.node.prompt or stage.node.label.replace("$goal", stage.graph.goal)
    parts = [preamble(stage, fidelity), stage.briefing, task, STATUS_CONTRACT.format(status_file=status_file)]
    return "\n\n".join(part for part in parts if part) + "\n"


def preamble(stage: StageRun, fidelity: str) -> str:
    """What a fresh session must know of the run, as much of it as the fidelity mode carries."""
    stages, values, characters = _CARRIED.get(fidelity, _CARRIED[DEFAULT_FIDELITY])
    lines = [f"You are stage {stage.node.id!r} of the pipeline {stage.graph.name!r}, run {stage.run_id}."]
    if stage.graph.goal:
        lines.append(f"Goal of the whole pipeline: {stage.graph.goal}")
    if stages and stage.completed:
        lines.append("Finished before you (latest last):")
        lines += _finished(stage.completed[-stages:], stage.outcomes)
    shown = _values(stage.context, values, characters) if values else []
    if shown:
        lines.append("Known so far:")
        lines += shown
    return "\n".join(lines)


def _finished(completed: Sequence[str], outcomes: Mapping[str, Any]) -> list[str]:
    lines = []
    for node_id in completed:
        outcome = outcomes.get(node_id)
        status = outcome.status.value if outcome else "done"
        why = f": {outcome.failure_reason}" if outcome and outcome.failure_reason else ""
        lines.append(f"- {node_id}: {status}{why}")
    return lines


def _values(context: Mapping[str, Any], count: int, characters: int) -> list[str]:
    keys = [key for key in context if key not in _HIDDEN_KEYS and not key.startswith(_HIDDEN_PREFIXES)]
    lines = []
    for key in keys[-count:]:
        text = str(context[key]).strip()
        if text:
            lines.append(f"- {key}: {text if len(text) <= characters else text[:characters] + '...'}")
    return lines
