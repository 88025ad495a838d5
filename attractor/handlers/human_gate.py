"""Human gates: a person chooses the way onward (spec 4.6). They fail closed (DESIGN 2.7).

No answer in time, a refusal, an answer that names no choice: the gate takes its `human.default_choice`, or it fails.
It never chooses by itself. A choice is offered only where the engine's routing would really follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attractor.contracts import (
    Answer,
    AnswerKind,
    EventName,
    FailureClass,
    Interviewer,
    Option,
    Outcome,
    Question,
    QuestionType,
    StageRun,
    Status,
)
from attractor.engine import choose_route, normalize_label
from attractor.graph import Edge, choice_keys, split_accelerator
from attractor.human import AnswerWait, find_option, problem_with

YES, NO = Option("Y", "Yes"), Option("N", "No")


@dataclass(frozen=True, slots=True)
class Choice:
    """An edge a person may choose. `preferred_label` is '' where only the target tells it from the others."""

    option: Option
    edge: Edge
    preferred_label: str

    @property
    def outcome(self) -> Outcome:
        return Outcome(
            Status.SUCCESS,
            preferred_label=self.preferred_label,
            suggested_next_ids=(self.edge.target_id,),
            context_updates=_updates(self.option),
        )


@dataclass(frozen=True, slots=True)
class HumanGateHandler:
    """Asks through `interviewer`. `path_of` makes a node id unique among the run's branches."""

    interviewer: Interviewer
    path_of: Callable[[str], str]

    def execute(self, stage: StageRun) -> Outcome:
        choices = choices_of(stage)
        if not choices:
            return _failed("No outgoing edges for human gate")
        question = question_of(stage, choices, self._id(stage))
        default = find_option(replace(question, options=_options(choices)), stage.node.text("human.default_choice"))
        waiting = AnswerWait(
            stage.stop, question.timeout_seconds, stage.heartbeat, lambda: _tell(stage, question, default)
        )
        answer = self.interviewer.ask(question, waiting)
        waiting.begin()
        outcome = _Judgement(stage, question, choices, default).of(answer, waiting.elapsed_seconds)
        return replace(outcome, context_updates={**outcome.context_updates, "last_stage": stage.node.id})

    def _id(self, stage: StageRun) -> str:
        """The same for every attempt of a visit, in any life of the engine; `review`, `review.2`, `r1.review`."""
        path = self.path_of(stage.node.id)
        visited = f"{path}.{stage.visit}" if stage.visit > 1 else path
        return f"r{stage.restart_count}.{visited}" if stage.restart_count else visited


def _tell(stage: StageRun, question: Question, default: Option | None) -> None:
    stage.emit(
        EventName.INTERVIEW_STARTED,
        node_id=stage.node.id,
        question_id=question.id,
        type=question.type,
        text=question.text,
        options=[{"key": option.key, "label": option.label} for option in question.options] or None,
        default=default.label if default else None,
        timeout_seconds=question.timeout_seconds,
    )


# --- the question ---------------------------------------------------------------------------------------------


def choices_of(stage: StageRun) -> list[Choice]:
    """The gate's choices, in the order of its edges. An edge routing would not follow for being chosen is none: that of
    a condition that does not hold (such as `outcome=fail`), or one beside a condition that does.
    """
    edges = stage.graph.outgoing(stage.node.id)
    offered = [choice.edge for choice in _choices(edges) if _leads_on(stage, choice)]
    return _choices(offered)


def _choices(edges: Sequence[Edge]) -> list[Choice]:
    labels = [edge.label or edge.target_id for edge in edges]
    routed_by = [normalize_label(edge.label) for edge in edges]
    choices = []
    for key, label, edge in zip(choice_keys(labels), labels, edges, strict=True):
        display = split_accelerator(label)[1] or label
        preferred = display if normalize_label(display) == normalize_label(edge.label) else edge.label
        unique = routed_by.count(normalize_label(edge.label)) == 1
        choices.append(Choice(Option(key, display, edge.target_id), edge, preferred if unique else ""))
    return choices


def _leads_on(stage: StageRun, choice: Choice) -> bool:
    outcome = choice.outcome
    said = {"outcome": outcome.status.value, "preferred_label": outcome.preferred_label}
    route = choose_route(stage.graph, stage.node, outcome, {**stage.context, **outcome.context_updates, **said})
    return route is not None and route.edge is choice.edge


def question_of(stage: StageRun, choices: Sequence[Choice], question_id: str) -> Question:
    """What is asked: its type from `human.type`, where that fits the edges, else from their labels."""
    node = stage.node
    kind = question_type(node.text("human.type"), choices)
    options = _options(choices)
    if kind is QuestionType.CONFIRMATION:
        options = (replace(YES, target=choices[0].option.target), NO)
    elif kind is QuestionType.FREEFORM:
        options = ()
    question = Question(
        id=question_id,
        text=node.text("label") or node.prompt or "Select an option:",
        type=kind,
        stage=node.id,
        options=options,
        timeout_seconds=stage.timeout_seconds,
        repeats=stage.attempt < stage.max_attempts,
        metadata={"simulate": node.text("simulate")} if node.text("simulate") else {},
    )
    default = find_option(question, node.text("human.default_choice"))
    return replace(question, default=default.key) if default else question


def question_type(asked: str, choices: Sequence[Choice]) -> QuestionType:
    """`asked` is the attribute, '' for none. Yes and no need edges labelled so, a confirmation one edge alone."""
    labels = sorted(choice.option.label.lower() for choice in choices)
    if asked == QuestionType.FREEFORM:
        return QuestionType.FREEFORM
    if asked == QuestionType.CONFIRMATION and len(choices) == 1:
        return QuestionType.CONFIRMATION
    if asked == QuestionType.MULTIPLE_CHOICE:
        return QuestionType.MULTIPLE_CHOICE
    if labels == ["no", "yes"]:
        return QuestionType.YES_NO
    alone = len(choices) == 1 and not choices[0].edge.label
    return QuestionType.CONFIRMATION if alone else QuestionType.MULTIPLE_CHOICE


def _options(choices: Sequence[Choice]) -> tuple[Option, ...]:
    return tuple(choice.option for choice in choices)


# --- the answer -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What an answer comes to. `default` is the option `human.default_choice` names, also where none is offered."""

    stage: StageRun
    question: Question
    choices: Sequence[Choice]
    default: Option | None

    def of(self, answer: Answer, elapsed_seconds: float) -> Outcome:
        duration_ms = round(elapsed_seconds * 1000, 1)
        if answer.kind is AnswerKind.STOPPED:
            return _failed(self.stage.stop.reason, FailureClass.CANCELED)
        if answer.kind is AnswerKind.SKIPPED:
            return self._completed(_failed("human skipped interaction"), answer, None, duration_ms)
        if answer.kind is AnswerKind.TIMEOUT or answer.by == "default":
            default = self.default.label if self.default else None
            self._emit(EventName.INTERVIEW_TIMEOUT, default=default, duration_ms=duration_ms)
            return self._without_answer(self._timed_out(), answer, duration_ms)
        problem = problem_with(self.question, answer)
        if problem:
            return self._without_answer(_failed(f"the answer cannot be taken: {problem}"), answer, duration_ms)
        if self.question.type is QuestionType.FREEFORM:
            text = answer.text.strip() or answer.value.strip()
            outcome = Outcome(Status.SUCCESS, context_updates=_updates(Option("", ""), text))
            return self._completed(outcome, answer, None, duration_ms)
        option = find_option(self.question, answer.value)
        assert option is not None  # problem_with has looked
        return self._completed(self._chosen(option, answer), answer, option, duration_ms)

    def _timed_out(self) -> Outcome:
        # RETRY on the last attempt would become a success under allow_partial, and the gate choose by itself.
        status = Status.RETRY if self.question.repeats else Status.FAIL
        reason = "human gate timeout, no default"
        return Outcome(status, failure_reason=reason, failure_class=FailureClass.TRANSIENT_INFRA)

    def _without_answer(self, failure: Outcome, answer: Answer, duration_ms: float) -> Outcome:
        """The declared default, else `failure`."""
        if self.default is None:
            return failure
        taken = Answer(self.default.key, by="default")
        outcome = self._chosen(self.default, taken)
        notes = f"{outcome.notes}; {failure.failure_reason.removesuffix(', no default')}"
        return self._completed(replace(outcome, notes=notes), taken, self.default, duration_ms)

    def _chosen(self, option: Option, answer: Answer) -> Outcome:
        """The choice's outcome. A confirmation's no is no choice of its gate's: it fails."""
        by = ", ".join(filter(None, (answer.by, answer.who)))
        choice = self._choice_of(option)
        updates = _updates(option, answer.text)
        if choice is None:
            return replace(_failed(f"not confirmed ({by})"), context_updates=updates)
        return replace(choice.outcome, context_updates=updates, notes=f"{option.label} ({by})")

    def _choice_of(self, option: Option) -> Choice | None:
        if self.question.type is QuestionType.CONFIRMATION:
            return self.choices[0] if option.target else None
        return next(choice for choice in self.choices if choice.option.key == option.key)

    def _completed(self, outcome: Outcome, answer: Answer, option: Option | None, duration_ms: float) -> Outcome:
        self._emit(
            EventName.INTERVIEW_COMPLETED,
            answer=option.key if option else answer.value or answer.kind,
            label=option.label if option else None,
            target=(option.target or None) if option else None,
            text=outcome.context_updates.get("human.gate.text") or None,
            by=answer.by or None,
            who=answer.who or None,
            duration_ms=duration_ms,
        )
        return outcome

    def _emit(self, event: EventName, **fields: Any) -> None:
        self.stage.emit(event, node_id=self.stage.node.id, question_id=self.question.id, **fields)


def _updates(option: Option, text: str = "") -> Mapping[str, Any]:
    return {"human.gate.selected": option.key, "human.gate.label": option.label, "human.gate.text": text}


def _failed(reason: str, failure_class: FailureClass = FailureClass.DETERMINISTIC) -> Outcome:
    return Outcome(Status.FAIL, failure_reason=reason, failure_class=failure_class)
